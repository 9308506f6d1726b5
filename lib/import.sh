# What every import shares: never twice at once, entered in the ledger, all or nothing.
# shellcheck shell=bash disable=SC2154 # the session gives db, lock, wait, run, files and the like

replace=()   # --replace
sink=()      # more options of upsert-rows
answered=''  # the session has answered --help or --version
incomplete=0 # the status of an import that is good, but lacks inputs that it should have had
run=''       # its number in the ledger, as long as it has not ended

# Parses and checks all options, as the package's programs.py declares them; then holds the
# pipeline's lock, enters the run, and leaves in `inputs` the options that name those that are due.
# lib/headcount/pipelines/session.py is the other half of this.
begin_import() { # PACKAGE [ARGUMENT…]
	# The session has these, too: what it hears and says goes by other descriptors. (It reads no
	# events: if the caller has closed stdin, the filters say so.)
	{ exec {stdin}<&0; } 2>/dev/null || exec {stdin}</dev/null
	exec {stdout}>&1
	coproc session {
		exec {hears}<&0 {says}>&1 <&"$stdin" >&"$stdout" {stdin}<&- {stdout}>&-
		exec "$lib/python" -m headcount.pipelines.session "$prog" import "$self" "$1" "$hears,$says" "${@:2}"
	}
	exec {stdin}<&- {stdout}>&-
	session_pid=$session_PID from_session=${session[0]} to_session=${session[1]}
	hear_session
	if [[ $answered ]]; then
		wait "$session_pid" || exit
		exit
	fi
	if reads_terminal; then
		printf "%s: name files, or pipe events in\nTry '%s --help'.\n" "$prog" "$prog" >&2
		exit 2
	fi
	hold_lock
	trap tidy EXIT
	remove_stages # of a run that was killed
	make_stage
	enter_run
	if ((${#files[@]} == 0)); then # nothing is due
		run=''
		exit "$incomplete"
	fi
}

# Reads words of the session. If it has none, it has said why, and it is the end. (bash closes the
# descriptors of one that is gone.)
hear_session() {
	local status=0
	{ read_words <&"$from_session"; } 2>/dev/null && return
	wait "$session_pid" || status=$?
	if [[ -s ${stage-}/words ]]; then read_words <"$stage/words"; fi # it has entered the run
	stop_if_signalled
	if ((status == 0)); then die 1 'the import stopped early: nothing was imported'; fi
	exit "$status"
}

# Each pipeline once at a time (an endless one would keep all others out): the kernel drops the
# lock with the process, however that ends. SQLite has those of others take turns.
hold_lock() {
	local mask status=0
	mask=$(umask)
	umask 077
	{ exec 9>>"$lock.lock"; } 2>/dev/null || die 74 "cannot write $lock.lock"
	umask "$mask"
	run_job flock -w "$wait" 9 || status=$?
	stop_if_signalled
	if ((status)); then
		module pipelines.session skip "$db" "another import holds the lock; waited $wait s" || :
		die 75 "another import holds $lock.lock; waited $wait s"
	fi
}

# A signal is heeded once there is a directory, or none: what is just being made escapes removal.
make_stage() {
	local status=0
	trap 'signal=INT' INT
	trap 'signal=TERM' TERM HUP
	stage=$(mktemp -d "$lock.stage.XXXXXX" 2>/dev/null) || status=$?
	default_signals
	stop_if_signalled
	if ((status)); then die 74 "cannot write $lock.stage"; fi
}

# Has the session enter the run. On a server it then holds the lock of all hosts until this ends.
enter_run() {
	trap 'signal=INT; kill "$session_pid" 2>/dev/null || :' INT
	trap 'signal=TERM; kill "$session_pid" 2>/dev/null || :' TERM HUP
	trap '' PIPE
	{ printf '%s\0' "$stage" >&"$to_session"; } 2>/dev/null || : # if it is gone, it has said why
	trap - PIPE
	hear_session
	read_words <"$stage/words"
	default_signals
	stop_if_signalled
}

stop_if_signalled() {
	if [[ $signal ]]; then die "$(signal_status)" 'nothing was imported'; fi
}

# Imports the inputs: FUNCTION writes their rows, which TABLE takes once all filters have succeeded,
# with the OPTIONs that name their accounts.
import() { # FUNCTION TABLE OPTION…
	local status=0
	run_job filter_into_sink "$@" || status=$?
	if [[ ! -e $stage/filtered ]]; then
		stop_if_signalled
		die "$((status ? status : 1))" 'nothing was imported'
	fi
	# A signal that came too late to stop it changes nothing: what is committed is a success.
	if [[ ! -e $stage/sink ]] || ((status != 0 && status != 65)); then
		if [[ $signal ]]; then status=$(signal_status); fi
		exit "$status"
	fi
	run=''
	exit "$((status ? status : incomplete))"
}

# Imports the inputs with a FUNCTION that closes the run itself; what it has read may be kept even if
# it fails.
import_bit_by_bit() { # FUNCTION [WHAT_IF_IT_FAILS]
	local status=0 failed=${2-what was read is kept; run it again to go on}
	run_job "$1" || status=$?
	if [[ $signal && $status != 0 ]]; then status=$(signal_status); fi
	if ((status == 2 || status == 66)); then exit "$status"; fi # it has said why
	if ((status != 0 && status != 65)); then die "$status" "$failed"; fi
	if [[ ! -e $stage/account ]]; then die 1 "the import stopped early: $failed"; fi
	run=''
	exit "$status"
}

# The sink starts beside the filters, which takes as long as a small count, and waits for their end.
filter_into_sink() { # FUNCTION TABLE OPTION…
	stage_rows "$1" | upsert_rows "${@:2}"
	local both=("${PIPESTATUS[@]}")
	if ((both[1] == 0)) && [[ ! -e $stage/sink ]]; then
		die 1 'upsert-rows stopped early: nothing was imported'
	fi
	pipe_status "${both[@]}"
}

stage_rows() { # FUNCTION
	local status=0
	exec 9>&- # the filters do not hold the lock: should this script be killed, they do no harm
	"$1" >"$stage/rows" || status=$?
	if ((status == 0 || status == 65)); then : >"$stage/filtered"; fi
	return "$status"
}

upsert_rows() { # TABLE OPTION…
	"$bin/upsert-rows" --db "$db" --wait "$wait" --run "$run" "${settings[@]}" "${replace[@]}" \
		"${max_rejects[@]}" "${quiet[@]}" "${sink[@]}" "${@:2}" --account "$stage/sink" \
		--once "$stage/filtered" "$1" "$stage/rows"
}

# Whoever holds the lock may: nobody else has one. A filter that is just dying may still write.
remove_stages() { rm -rf "$lock".stage.* 2>/dev/null || { sleep 0.1 && rm -rf "$lock".stage.*; }; }

# Enters a run that came to nothing, and leaves nothing behind.
tidy() {
	local status=$?
	trap '' INT TERM HUP
	stop_jobs
	remove_stages # first: they may be what filled the disk
	if [[ $run ]]; then
		module pipelines.session fail "$db" "$wait" "$run" "exit status $status" || :
	fi
	exit "$status"
}
