#!/usr/bin/env bats
# The pipelines as a user meets them. Faults have their own tests: faults/, io/test_inputs.py.

# shellcheck disable=SC2154 # support.bash sets root
load support

@test "the same import twice changes nothing, and says that it skipped" {
	event ann 1 >events
	run import-active-users --db my.db events
	[ "$status" = 0 ]
	[ "$output" = $'2020-01-01\t0\t1' ]
	run import-active-users --db my.db events
	[ "$status" = 0 ]
	[ "$output" = 'import-active-users: 1 file was imported before and unchanged: skipped' ]
	run import-active-users --quiet --db my.db events
	[ "$output" = '' ]
	[ "$(counts my.db)" = '2020-01-01|1' ]
}

@test "a file that has grown is read again, and counts nobody twice" {
	event ann 1 >events
	import-active-users --db my.db events
	event bob 1 >>events
	run import-active-users --db my.db events
	[ "$output" = $'2020-01-01\t1\t2' ]
}

@test "a late event lands in its own day, and the history says when" {
	event ann 20 >today
	event bob 3 >late
	import-active-users --db my.db today
	run import-active-users --db my.db late
	[ "$output" = $'2020-01-03\t0\t1' ]
	[ "$(counts my.db)" = $'2020-01-03|1\n2020-01-20|1' ]
	[ "$(sqlite3 my.db 'SELECT date, run_id FROM active_user_history ORDER BY run_id')" = $'2020-01-20|1\n2020-01-03|2' ]
}

@test "a valuable event that comes a night after its engagement makes the user active" {
	event ann 1 >engagement
	event ann 1 0 purchase >bought
	run import-active-users --db my.db --valuable-events purchase engagement
	[ "$status" = 65 ]
	[ "$output" = 'upsert-rows: no event was named purchase' ]
	run import-active-users --db my.db --valuable-events purchase bought
	[ "$output" = $'2020-01-01\t0\t1' ]
}

@test "a bad line is rejected, kept for replay, and the rest is imported" {
	{ for i in {1..200}; do event "u$i" 1; done && echo '{"event_name":"user_engagement"'; } >events
	run import-active-users --db my.db --rejects rejects events
	[ "$status" = 65 ]
	[ "${lines[0]}" = 'parse-engagement: events:201: not JSON: Input data was truncated' ]
	[ "$(counts my.db)" = '2020-01-01|200' ]
	[ "$(wc -l <rejects)" = 1 ]
	[[ $(cat rejects) = '{"prog": "parse-engagement", "file": "events", "line": 201, '*'"raw": "{\"event_name\":\"user_engagement\""}' ]]
}

@test "without --validate a broken line that cannot matter is not looked at; with it, it is a reject" {
	{ event ann 1 && echo '{"event_name":"screen_view"' && echo 'rubbish'; } >events
	run count-active-users events
	[ "$status" = 0 ]
	[ "$output" = $'2020-01-01\t1' ]
	run --separate-stderr count-active-users --validate events
	[ "$status" = 65 ]
	[ "$output" = $'2020-01-01\t1' ]
	[ "${#stderr_lines[@]}" = 2 ]
}

@test "a missing file stops everything before anything is made" {
	event ann 1 >events
	run import-active-users --db my.db events nowhere
	[ "$status" = 66 ]
	[ "$output" = 'import-active-users: nowhere: no such file' ]
	[ ! -e my.db ]
}

@test "a held lock is waited for, then exit 75, which is in the ledger and alarms nobody later" {
	event ann 1 >events
	import-active-users --db my.db events
	exec 8>>my.db.import-active-users.lock
	flock 8
	run import-active-users --db my.db --wait 0.2 events
	[ "$status" = 75 ]
	[[ $output = *'another import holds'* ]]
	flock -u 8
	run sqlite3 my.db "SELECT status, message FROM run WHERE id = 2"
	[ "$output" = 'failed|skipped: another import holds the lock; waited 0.2 s' ]
	check-data --db my.db unfinished_runs
	import-active-users --db my.db --wait 0.2 events
}

@test "an interrupt ends an endless pipe: what was counted so far is printed, exit 130" {
	{ event ann 1 && event bob 1; } >events
	set -m # a process group of its own, as a terminal gives
	{ tail -F events 2>/dev/null | count-active-users >counted; } &
	job=$!
	set +m
	sleep 1.5
	kill -INT -- "-$job"
	status=0
	wait "$job" || status=$?
	[ "$status" = 130 ]
	[ "$(cat counted)" = $'2020-01-01\t2' ]
}

@test "quiet under head" {
	for i in {1..28}; do event ann "$i"; done >events
	run bash -c 'set -o pipefail; count-active-users events | head -1'
	[ "$status" = 0 ]
	[ "$output" = $'2020-01-01\t1' ]
}

@test "the filters are of use alone, in any locale" {
	for i in 1 1 2; do event ann "$i"; done >events
	export LC_ALL=tr_TR.UTF-8 # where there is no such locale, bash warns
	run --separate-stderr bash -c 'grep-events user_engagement <events | parse-engagement | local-day --tz Asia/Tokyo | cut -f1 | sort | uniq -c'
	[ "$output" = $'      2 2020-01-01\n      1 2020-01-02' ]
}

@test "the real sample has the known numbers, whole, twice and in two halves" {
	real=$root/../shared/data/engagement/bq-results-sample-data.jsons
	if [ ! -e "$real" ]; then skip "no real data at $real"; fi
	known() { # ZONE COUNT…
		local zone=$1 days=(2019-12-29 2019-12-30 2019-12-31) expected=''
		shift
		for i in 0 1 2; do expected+=${days[i]}$'\t'${*:i+1:1}$'\n'; done
		[ "$(count-active-users --tz "$zone" "$real")" = "${expected%$'\n'}" ]
		[ "$(count-active-users --tz "$zone" --validate <"$real")" = "${expected%$'\n'}" ]
		import-active-users --quiet --db "my.${zone##*/}" --tz "$zone" "$real" "$real" >/dev/null
		head -500 "$real" | import-active-users --db "halves.${zone##*/}" --tz "$zone" >/dev/null
		tail -n +501 "$real" | import-active-users --db "halves.${zone##*/}" --tz "$zone" >/dev/null
		cat "$real" | import-active-users --db "my.${zone##*/}" --tz "$zone" >/dev/null
		for db in my halves; do
			[ "$(counts "$db.${zone##*/}" | tr '|' '\t')" = "${expected%$'\n'}" ]
		done
	}
	known America/Chicago 11 31 22
	known America/New_York 9 31 24
	known UTC 2 29 33
	known device 10 31 23
}
