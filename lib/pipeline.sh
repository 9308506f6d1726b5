# What every pipeline of bin/ shares; sourced, never run. `self` is the pipeline's own file.
# shellcheck shell=bash disable=SC2034,SC2154 # self is the pipeline's; lib is for the other parts

set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C # sort and join must agree, and bytes are bytes

prog=${0##*/}
bin=${self%/*}
lib=$bin/../lib

# The help of a script is its lines that start with #/; those that start with #@ name a program
# and some of its options, whose text stands there once for all.
usage() {
	local line option quoted
	declare -A helps # of the programs that are quoted: each is asked once
	while IFS= read -r line; do
		case $line in
		'#/'*) line=${line#'#/'} && printf '%s\n' "${line# }" ;;
		'#@ '*)
			read -ra quoted <<<"${line#'#@ '}"
			if [[ ! ${helps[${quoted[0]}]-} ]]; then helps[${quoted[0]}]=$("$bin/${quoted[0]}" --help); fi
			for option in "${quoted[@]:1}"; do
				sed -n "/^  $option\( \|\$\)/,/^  -/{ /^  $option/p; /^   /p; }" <<<"${helps[${quoted[0]}]}"
			done
			;;
		esac
	done <"$self"
}

# Prints a text; quiet if nobody reads it (… | head), 74 if it cannot be written.
publish() {
	local status=0
	(trap '' PIPE && printf '%s\n' "$1") 2>/dev/null || status=$?
	if ((status != 0)) && [[ ! -p /dev/stdout ]]; then
		die 74 'cannot write standard output'
	fi
}

die() { # STATUS MESSAGE
	printf '%s: %s\n' "$prog" "$2" >&2
	exit "$1"
}

usage_error() { # MESSAGE
	printf "%s: %s\nTry '%s --help'.\n" "$prog" "$1" "$prog" >&2
	exit 2
}

# One more input, in the array `files`; a pipeline whose inputs are of several kinds has its own.
take_file() { files+=("$1"); }

# Reads the options of a pipeline. Its take_option gets an option and the word behind it, and
# returns 0 if it used the option alone, 1 if it used both, 2 if it does not know it.
# Gives the rest to take_file.
read_options() {
	files=()
	while (($#)); do
		local option=$1 value=${2-} words=1 used=0
		if [[ $1 == --?*=* ]]; then
			option=${1%%=*} value=${1#*=} words=0
		fi
		case $option in
		--help) publish "$(usage)" && exit ;;
		--version) publish "$prog $("$bin/local-day" --version | sed 's/.* //')" && exit ;;
		--)
			shift
			for value in "$@"; do take_file "$value"; done
			return
			;;
		-?*)
			take_option "$option" "$value" || used=$?
			case $used in
			0) if ((words == 0)); then usage_error "$option takes no value"; fi ;;
			1)
				if ((words == 1)); then
					if (($# < 2)); then usage_error "$option needs a value"; fi
					shift
				fi
				;;
			*) usage_error "unknown option $option" ;;
			esac
			;;
		*) take_file "$1" ;;
		esac
		shift
	done
}

# Installs a section of the lock file, unless it is there.
need() { # SECTION
	if [[ ! -e $lib/../.venv/$1 ]]; then
		"$lib/set-up" "$1" || die 1 'could not install what it needs; see above'
	fi
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
	trap - INT TERM HUP
	if ((status > 128)); then kill -- "-$job" 2>/dev/null || :; fi # what a killed job left behind
	return "$status"
}

# Runs a program for whose every block large arrays come and go. By default glibc hands the memory
# of each back to the system, which takes half as long again; another C library ignores this.
keep_memory() { # COMMAND…
	MALLOC_MMAP_THRESHOLD_=$((32 << 20)) MALLOC_TRIM_THRESHOLD_=$((256 << 20)) "$@"
}

# Runs a function that counts and writes its account to the file it is given, and exits with its
# status. Without an account it has not finished, whatever its status.
count_with() { # FUNCTION [OPTION…]
	local status=0
	stage=$(mktemp -d)
	trap 'rm -rf "$stage"' EXIT
	run_job "$@" --account "$stage/account" || status=$?
	if ((status == 0)) && [[ ! -e $stage/account ]]; then
		die 1 'the count stopped early: its output is void'
	fi
	if [[ $signal ]]; then status=$(signal_status); fi
	exit "$status"
}

# The status of a program that a signal stopped.
signal_status() {
	case $signal in
	INT) echo 130 ;;
	TERM) echo 143 ;;
	esac
}
