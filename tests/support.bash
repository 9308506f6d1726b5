# What the bats files share: the programs on the PATH of cron, a folder of one's own, one event.
# shellcheck shell=bash disable=SC2154

bats_require_minimum_version 1.5.0

setup() {
	root=$(readlink -f "$BATS_TEST_DIRNAME/..")
	export PATH="$root/bin:/usr/bin:/bin:$BATS_TEST_DIRNAME/shims"
	cd "$BATS_TEST_TMPDIR" || exit
}

# An event line: USER DAY [MSEC [NAME]], at noon UTC of that day of January 2020.
event() {
	printf '{"event_name":"%s","user_pseudo_id":"%s","event_timestamp":"%s","event_params":[' \
		"${4:-user_engagement}" "$1" "$((1577836800 + ($2 - 1) * 86400 + 43200))000000"
	printf '{"key":"engagement_time_msec","value":{"int_value":"%s"}},' "${3:-3000}"
	printf '{"key":"engaged_session_event","value":{"int_value":"1"}}]}\n'
}

counts() { sqlite3 "$1" 'SELECT * FROM active_user_table ORDER BY date'; }
