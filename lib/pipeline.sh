# What every pipeline of bin/ shares; sourced, never run. `self` is the pipeline's own file.
# shellcheck shell=bash disable=SC2034,SC2154 # self is the pipeline's; lib is for the other parts

set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C # sort and join must agree, and bytes are bytes
# A closed output fails when it is written to, and not before.
{ : 9>&1; } 2>/dev/null || exec 1</dev/null

# A signal that nothing traps runs the EXIT trap, too, but only where there was one before that
# signal was first trapped.
trap : EXIT

# What was ignored from the start, as by nohup, stays so (POSIX has it); but bash resets it with the
# first `trap -` after a trap. So these are the signals that were not.
heeded=()
trap : INT TERM HUP
trapped=$(trap -p INT TERM HUP)
for name in INT TERM HUP; do
	if [[ $trapped != *"-- '' SIG$name"* ]]; then heeded+=("$name"); fi
done
default_signals() { if ((${#heeded[@]})); then trap - "${heeded[@]}"; fi; }
default_signals

prog=${0##*/}
bin=${self%/*}
lib=$bin/../lib
inputs=() # the options that name the inputs, once the options have been parsed
files=()  # one of the inputs, if there are any: - if that is one
signal=''

die() { # STATUS MESSAGE
	printf '%s: %s\n' "$prog" "$2" >&2
	exit "$1"
}

# Runs a module of lib/headcount in the pipeline's name.
module() { # MODULE [ARGUMENT…]
	"$lib/python" -m "headcount.$1" "$prog" "${@:2}"
}

# Parses and checks all options, as the package's programs.py declares them: lib/headcount/pipelines/
# session.py has the rest. Without --pipe it counts as well, all in one program, and ends.
begin_count() { # PACKAGE [ARGUMENT…]
	local status=0
	stage=$(mktemp -d)
	trap 'stop_jobs; rm -rf "$stage"' EXIT
	run_job module pipelines.session count "$self" "$1" "$stage" "${@:2}" || status=$?
	if [[ -s $stage/words ]]; then
		read_words <"$stage/words"
		rm "$stage/words"
	else
		end_count "$status"
	fi
}

# Runs the function that is the pipe, which writes its account last of all.
count() { # FUNCTION
	local status=0
	run_job "$1" || status=$?
	end_count "$status"
}

# Without an account, a count has not finished, whatever its status. (Words without any are the
# session's, which has answered --help or refused what was asked for.)
end_count() { # STATUS
	if [[ $signal ]]; then exit "$(signal_status)"; fi
	if (($1 == 0)) && [[ ! -e $stage/account && ! -e $stage/words ]]; then
		die 1 'the count stopped early: its output is void'
	fi
	exit "$1"
}

# Makes arrays of the words that a session gives: `NAME COUNT`, so many words, and so on, each ended
# by NUL; an empty name ends them. Fails if they break off.
read_words() {
	local name count
	while IFS=' ' read -rd '' name count; do
		if [[ ! $name ]]; then return; fi
		declare -ga "$name=()"
		if ((count)); then mapfile -d '' -n "$count" -t "$name"; fi
	done
	return 1
}

# Runs a filter behind another one: Ctrl-C ends the input of the first, and that its output, and so on.
behind() { # COMMAND…
	trap '' INT
	"$@"
}

# The status of a pipe: that of the first filter that failed; 65 if one has rejected lines.
pipe_status() { # STATUS…
	local status rejected=0
	for status in "$@"; do
		case $status in
		0) ;;
		65) rejected=65 ;;
		*) return "$status" ;;
		esac
	done
	return "$rejected"
}

# Somebody types the input.
reads_terminal() {
	local file
	[[ -t 0 ]] || return
	for file in "${files[@]:--}"; do
		if [[ $file == - ]]; then return; fi
	done
	return 1
}

# Runs a function so that a signal acts at once: bash runs no trap while it waits for a foreground
# command, so the pipe runs as a job of its own, and signals are passed on to all of it. (Only who
# types the input needs the job in the foreground.) Leaves the signal's name in `signal`.
run_job() {
	signal=''
	if reads_terminal; then
		trap 'signal=INT' INT
		"$@"
		return
	fi
	local job status=0
	set -m
	(
		set +em
		trap : INT # the filters decide what an interrupt means
		"$@"
	) <&0 &
	job=$!
	set +m
	trap 'signal=INT; kill -s INT -- "-$job" 2>/dev/null || :' INT
	trap 'signal=TERM; kill -s TERM -- "-$job" 2>/dev/null || :' TERM HUP
	while :; do # a trapped signal ends `wait`, not the job
		status=0
		wait "$job" || status=$?
		kill -0 "$job" 2>/dev/null || break
	done
	default_signals
	if ((status > 128)); then kill -- "-$job" 2>/dev/null || :; fi # what a killed job left behind
	return "$status"
}

# Ends what a signal has left running, should it come while a job is just being started.
stop_jobs() {
	local job
	for job in $(jobs -p); do kill -- "-$job" 2>/dev/null || :; done
}

# Runs a function whose programs have large arrays come and go with every block. By default glibc
# hands the memory of each back to the system, which takes half as long again; another C library
# ignores this.
keep_memory() { # FUNCTION [ARGUMENT…]
	MALLOC_MMAP_THRESHOLD_=$((32 << 20)) MALLOC_TRIM_THRESHOLD_=$((256 << 20)) "$@"
}

# The status of a program that a signal stopped.
signal_status() {
	case $signal in
	INT) echo 130 ;;
	TERM) echo 143 ;;
	esac
}
