#!/usr/bin/env bats
# Set-up on a bare machine, and what the night needs.

# shellcheck disable=SC2154 # support.bash sets root
load support

# The checkout as git has it, in another place.
clone() {
	mkdir "$1"
	(cd "$root" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf -) |
		tar -xf - -C "$1"
}

bare() { env -i PATH=/usr/bin:/bin HOME="$BATS_TEST_TMPDIR" PIP_CACHE_DIR="$BATS_TEST_TMPDIR/pip" "$@"; }

@test "a stranger's make import: sets up, imports, shows numbers and a chart; again is quick" {
	clone new
	run bare make -C new import
	[ "$status" = 0 ]
	[[ $output = *'installing: runtime (once)'* ]]
	[[ $output = *$'date          users  status'* ]]
	[[ $output = *'████'* ]]
	diff <(tr '|' '\t' < <(counts new/data/sample.db)) "$root/data/sample/truth.tsv"
	# no network, no work
	run bare PIP_INDEX_URL=http://127.0.0.1:9 timeout 1 make -C new
	[ "$status" = 0 ]
	[[ $output != *installing* ]]
	# the checkout may be moved
	mv new elsewhere
	bare elsewhere/bin/count-active-users elsewhere/data/sample/events.jsonl.gz | diff - "$root/data/sample/truth.tsv"
	# make import twice
	run bare make -C elsewhere import
	[ "$status" = 0 ]
	[[ $output = *'imported before and unchanged: skipped'* ]]
}

@test "a program that is not set up says what to do" {
	clone new
	run bare new/bin/local-day
	[ "$status" = 1 ]
	[ "$output" = "local-day: not set up yet: run 'make' in $PWD/new" ]
}

# A PATH with a python3 of our making, and of the rest what set-up calls.
fake_python() {
	mkdir fake
	cat >fake/python3
	chmod +x fake/python3
	for tool in bash env dirname readlink rm awk; do ln -s "$(command -v "$tool")" fake/; done
}

@test "a Python that is too old is named, with the command that mends it" {
	clone new
	fake_python <<-'EOF'
		#!/bin/sh
		[ "$1" = -V ] && echo 'Python 3.9.2'
	EOF
	run env -i PATH="$PWD/fake" HOME="$HOME" new/lib/set-up runtime
	[ "$status" = 1 ]
	[[ $output = *'python3 is Python 3.9.2, and Headcount needs 3.11'* ]]
	[[ $output = *'sudo apt-get install python3.11'* ]]
	[ ! -e new/.venv ]
}

@test "a Debian without python3-venv is told the package" {
	clone new
	fake_python <<-'EOF'
		#!/bin/sh
		case $2 in *ensurepip*) exit 1 ;; esac
	EOF
	run env -i PATH="$PWD/fake" HOME="$HOME" new/lib/set-up runtime
	[ "$status" = 1 ]
	[[ $output = *'sudo apt-get install python3-venv'* ]]
}

teardown() { rm -f /etc/cron.d/headcount-test; }

# The crontab's lines with HEADCOUNT changed, as one would; its commands without the times.
installed_crontab() { sed "s,^HEADCOUNT=.*,HEADCOUNT=$1," "$root/crontab.example"; }
# shellcheck disable=SC2016 # the variable as it stands in the file
commands() { sed -n 's/^[0-9*][^"]*\("\$HEADCOUNT.*\)/\1/p' | sed 's/\\%/%/g'; }

night() { # every command of the crontab, under cron's environment
	local command
	while IFS= read -r command; do
		env -i HOME="$HOME" LOGNAME=nobody SHELL=/bin/bash PATH=/usr/local/bin:/usr/bin:/bin \
			HEADCOUNT="$1" /bin/bash -c "$command"
	done < <(installed_crontab "$1" | commands)
}

@test "the crontab's lines work as they stand, night after night" {
	mkdir -p opt/events
	clone opt/headcount
	ln -s "$root/.venv" opt/headcount/.venv
	ln -s "$PWD/opt/events" opt/headcount/events
	[ "$(installed_crontab "$PWD/opt/headcount" | commands | wc -l)" = 5 ]
	event ann 1 >opt/events/1.jsonl
	night "$PWD/opt/headcount" >mail
	run counts opt/headcount/data/headcount.db
	[ "$output" = '2020-01-01|1' ]
	event bob 1 >opt/events/2.jsonl
	gzip opt/events/2.jsonl
	night "$PWD/opt/headcount" >mail
	run counts opt/headcount/data/headcount.db
	[ "$output" = '2020-01-01|2' ]
	[ "$(cat opt/headcount/data/changes.tsv)" = $'2020-01-01\t0\t1\n2020-01-01\t1\t2' ]
	# the second night read only the new file
	[ "$(sqlite3 opt/headcount/data/headcount.db "SELECT group_concat(status) FROM run_input WHERE run_id = 2")" = 'skipped,read' ]
	[ "$(sqlite3 opt/headcount/data/headcount.db "SELECT group_concat(status) FROM job_run WHERE job = 'active-users'")" = 'done,done' ]
	run grep ledger_sums mail
	[ "$status" = 1 ]
	sqlite3 opt/headcount/data/headcount.db 'UPDATE active_user_table SET active_user_count = 7'
	run night "$PWD/opt/headcount"
	[[ "$output" == *'ledger_sums: '*'active users of 2020-01-01'* ]]
}

# The block of bash below a heading of the README.
# shellcheck disable=SC2016 # the marks of the README
block() { sed -n "/^## $1/,/^\`\`\`$/p" "$root/README.md" | sed -n '/^```bash$/,/^```$/{//!p;}'; }

# What the chapters before it show.
# shellcheck disable=SC2016 # the marks of the README
chapters() { sed -n '/^```console$/,/^```$/s/^\$ //p' "$root/README.md"; }

@test "the README's lines lead from a clone to nights that run by themselves" {
	clone new
	ln -s "$root/.venv" new/.venv
	mkdir fake exports
	event ann 1 >exports/1.jsonl
	# a crontab command with a line in it already
	echo '0 0 * * * true' >table
	# shellcheck disable=SC2016 # for the script
	printf '#!/bin/sh\ncase $1 in -l) cat "%s" ;; -) cat >new && mv new "%s" ;; esac\n' "$PWD/table" "$PWD/table" >fake/crontab
	chmod +x fake/crontab
	[ "$(block 'Every night' | wc -l)" -le 10 ]
	# shellcheck disable=SC2016 # for the script
	block 'Every night' | sed '2s,.*,ln -s "$OLDPWD/exports" events,' >lines
	# in the order of the chapters: all that they show comes first, in this very checkout
	chapters >before
	[ "$(wc -l <before)" -ge 8 ]
	(cd new && env -i HOME="$HOME" PATH="$PWD/bin:/usr/bin:/bin" bash -e ../before) >/dev/null
	(cd new && env -i HOME="$HOME" PATH="$OLDPWD/fake:/usr/bin:/bin" EDITOR=true OLDPWD="$OLDPWD" bash -e ../lines) >said
	grep -q 'active-users *done *0' said
	run grep -c 'crontab\|do what it says' said # doctor has found nothing, in the crontab either
	[ "$output" = 0 ]
	# and would find an import whose settings are others
	sed -i 's,--tz Europe/Berlin,--tz Asia/Tokyo,' table
	run env -i HOME="$HOME" PATH="$PWD/fake:/usr/bin:/bin" new/bin/doctor --quiet
	[ "$status" = 65 ]
	[[ $output == *'made with --tz Europe/Berlin, not Asia/Tokyo'* ]]
	sed -i 's,--tz Asia/Tokyo,--tz Europe/Berlin,' table
	[ "$(sqlite3 new/data/headcount.db 'SELECT * FROM active_user_table')" = '2020-01-01|1' ]
	[ "$(sqlite3 new/data/headcount.db "SELECT value FROM setting WHERE name = 'tz'")" = Europe/Berlin ]
	# what is now in the crontab does the next night
	head -1 table | grep '0 0 \* \* \* true'
	grep -q "^HEADCOUNT=$PWD/new$" table
	event bob 1 >exports/2.jsonl
	mv table the-table
	while IFS= read -r command; do
		env -i HOME="$HOME" LOGNAME=nobody SHELL=/bin/bash PATH=/usr/local/bin:/usr/bin:/bin \
			HEADCOUNT="$PWD/new" /bin/bash -c "$command"
	done < <(commands <the-table) >mail
	[ "$(sqlite3 new/data/headcount.db 'SELECT * FROM active_user_table')" = '2020-01-01|2' ]
	[ "$(sqlite3 new/data/headcount.db "SELECT group_concat(DISTINCT status) FROM job_run")" = 'done' ]
	[ -n "$(ls new/data/backups)" ]
}

@test "a real cron daemon runs them" {
	if ! command -v /usr/sbin/cron >/dev/null || [ "$(id -u)" != 0 ] || pgrep -x cron >/dev/null; then
		skip "needs root, and cron installed but not running"
	fi
	mkdir -p opt/events
	clone opt/headcount
	ln -s "$root/.venv" opt/headcount/.venv
	ln -s "$PWD/opt/events" opt/headcount/events
	event ann 1 >opt/events/1.jsonl
	# every minute, to see it; a file of /etc/cron.d names the user
	installed_crontab "$PWD/opt/headcount" | grep -v '8 \* \* 1' |
		sed 's,^17 4 \* \* \*,* * * * * root,' >/etc/cron.d/headcount-test
	/usr/sbin/cron -f &
	daemon=$!
	for ((i = 0; i < 75 && $(wc -c <opt/headcount/data/changes.tsv 2>/dev/null || echo 0) == 0; i++)); do sleep 1; done
	kill "$daemon"
	rm /etc/cron.d/headcount-test
	[ "$(cat opt/headcount/data/changes.tsv)" = $'2020-01-01\t0\t1' ]
}
