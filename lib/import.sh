# What every import-* pipeline shares: never twice at once, entered in the ledger, all or nothing.
# shellcheck shell=bash disable=SC2154 # files, signal and quiet are pipeline.sh's; settings the pipeline's

db=$(readlink -f "$lib/../data")/headcount.db
max_rejects=1%
wait=60
replace=()
settings=()
input_kinds=() # --kind KIND for each of `files`, where there are several kinds
url=''         # of a stream, which is then the only one of `files`
run=''
incomplete=0 # the status of an import that is good, but lacks inputs that it should have had
unfinished='what was read is kept; run it again to go on'

take_import_option() { # OPTION VALUE, as read_options wants it
	case $1 in
	--db)
		if [[ ! $2 ]]; then usage_error '--db: name a file'; fi
		db=$2
		;;
	--max-rejects) max_rejects=$2 ;;
	--wait)
		if [[ ! $2 =~ ^[0-9]+(\.[0-9]+)?$ ]]; then usage_error "--wait: '$2' is no number of seconds"; fi
		wait=$2
		;;
	--replace) replace=(--replace) && return ;;
	*) return 2 ;;
	esac
	return 1
}

# Adds to `files` those of a range of days.
take_range() { # OPTION…
	local dated=() status=0
	stage=$(mktemp -d)
	"$lib/python" -m headcount.dated_inputs "$prog" "$@" >"$stage/files" || status=$?
	mapfile -d '' -t dated <"$stage/files"
	rm -rf "$stage"
	if ((status != 0 && status != 65)); then exit "$status"; fi
	incomplete=$status
	files+=("${dated[@]}")
}

# Imports `files`: FUNCTION writes their rows, TABLE takes them once all filters have succeeded.
import() { # FUNCTION TABLE
	local status=0
	begin
	if ((${#files[@]})); then
		run_job stage_rows "$1" || status=$?
		stop_if_signalled
		if ((status != 0 && status != 65)); then die "$status" 'nothing was imported'; fi
		load "$2"
	fi
	run=''
	exit "$((status ? status : incomplete))"
}

# Imports `files` with a FUNCTION that keeps what it has read, and closes the run itself.
import_bit_by_bit() { # FUNCTION
	local status=0
	begin
	if ((${#files[@]})); then
		run_job "$1" || status=$?
		if [[ $signal && $status != 0 ]]; then status=$(signal_status); fi
		if ((status == 2)); then exit 2; fi # it has said why
		if ((status != 0 && status != 65)); then die "$status" "$unfinished"; fi
		if [[ ! -e $stage/account ]]; then die 1 "the import stopped early: $unfinished"; fi
	fi
	run=''
	exit "$status"
}

# Enters the run, alone, and leaves in `files` only the inputs that are due.
begin() {
	local file
	if ((${#files[@]} == 0)); then files=(-); fi
	for file in "${files[@]}"; do
		if [[ $file != - && $file != "$url" && ! -e $file ]]; then die 66 "$(printf %q "$file"): no such file"; fi
	done
	if reads_terminal; then usage_error 'name files, or pipe events in'; fi
	place
	lock
	trap tidy EXIT
	remove_stages # of a run that was killed
	make_stage
	enter
}

# Where the lock and the stages of a run are: beside a file, for a server in the user's cache.
place() {
	local folder
	if [[ ! $db =~ ^postgres(ql)?:// ]]; then
		db=$(readlink -f -- "$db") || die 74 'cannot write the database: no such directory'
		turn=$db.$prog
		return
	fi
	need postgres
	folder=${XDG_CACHE_HOME:-$HOME/.cache}/headcount
	(umask 077 && mkdir -p "$folder") || die 74 "cannot write $folder"
	turn=$folder/$(printf %s "$db" | cksum | tr ' ' -).$prog
}

# Each pipeline once at a time (an endless one would keep all others out): the kernel drops the
# lock with the process, however that ends. SQLite has those of others take turns.
lock() {
	local mask status=0
	mask=$(umask)
	umask 077
	{ exec 9>>"$turn.lock"; } 2>/dev/null || die 74 "cannot write $turn.lock"
	umask "$mask"
	run_job flock -w "$wait" 9 || status=$?
	stop_if_signalled
	if ((status)); then die 75 "another import holds $turn.lock; waited $wait s"; fi
	if [[ $db == *://* ]]; then lock_server; fi
}

# The same for all hosts: the server's lock is held by a program that ends with this script.
lock_server() {
	coproc holder { exec "$lib/python" -m headcount.postgres_turn "$prog" --db "$db" --wait "$wait" 9>&-; }
	if ! read -r -u "${holder[0]}"; then exit_as "$holder_PID"; fi
}

exit_as() { # PID
	local status=0
	wait "$1" || status=$?
	exit "$((status ? status : 1))"
}

# A signal is heeded once there is a directory, or none: what is just being made escapes removal.
make_stage() {
	local status=0
	trap 'signal=INT' INT
	trap 'signal=TERM' TERM HUP
	stage=$(mktemp -d "$turn.stage.XXXXXX" 2>/dev/null) || status=$?
	trap - INT TERM HUP
	stop_if_signalled
	if ((status)); then die 74 "cannot write $turn.stage"; fi
}

stop_if_signalled() {
	if [[ $signal ]]; then die "$(signal_status)" 'nothing was imported'; fi
}

ledger() { "$lib/python" -m headcount.enter_run "$prog" --db "$db" --wait "$wait" "$@"; }

enter() {
	local status=0
	run_job enter_run || status=$?
	mapfile -d '' -t files <"$stage/run"
	run=${files[0]-}
	files=("${files[@]:1}")
	stop_if_signalled
	if ((status)); then exit "$status"; fi
}

enter_run() {
	ledger begin "${settings[@]}" "${quiet[@]}" "${replace[@]/--replace/--again}" "${input_kinds[@]}" \
		--max-rejects "$max_rejects" -- "${files[@]}" >"$stage/run"
}

stage_rows() { # FUNCTION
	exec 9>&-     # the filters do not hold the lock: should this script be killed, they do no harm
	"$1" >"$stage/rows"
}

# A signal that came too late to stop it changes nothing: what is committed is a success.
load() { # TABLE
	local status=0
	run_job upsert_rows "$1" || status=$?
	if ((status)); then
		if [[ $signal ]]; then status=$(signal_status); fi
		exit "$status"
	fi
	if [[ ! -e $stage/sink ]]; then die 1 'upsert-rows stopped early: nothing was imported'; fi
}

upsert_rows() { # TABLE
	local accounts
	mapfile -d '' -t accounts < <(upstream)
	"$bin/upsert-rows" --db "$db" --wait "$wait" --run "$run" "${settings[@]}" "${replace[@]}" \
		--max-rejects "$max_rejects" "${accounts[@]}" --account "$stage/sink" "$1" "$stage/rows"
}

# Whoever holds the lock may: nobody else has one. A filter that is just dying may still write.
remove_stages() { rm -rf "$turn".stage.* 2>/dev/null || { sleep 0.1 && rm -rf "$turn".stage.*; }; }

# Enters a run that came to nothing, and leaves nothing behind.
tidy() {
	local status=$?
	trap '' INT TERM HUP
	remove_stages # first: they may be what filled the disk
	if [[ $run ]]; then ledger fail --run "$run" --message "exit status $status" || :; fi
	exit "$status"
}
