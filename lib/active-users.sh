# What count-active-users and import-active-users share: options, and rows of active users.
# shellcheck shell=bash disable=SC2034,SC2154 # read by the pipelines; files is set by pipeline.sh

tz=America/Chicago
definition=engaged-valuable
min_engagement=3
valuable_param=engaged_session_event
valuable_events=
key_events=
user=user_pseudo_id
validate=()
jobs=()
sketch=
rejects=() # the option, for those that reject
notes=()

take_active_users_option() { # OPTION VALUE, as read_options wants it
	case $1 in
	--tz) tz=$2 ;;
	--definition) definition=$2 ;;
	--min-engagement) min_engagement=$2 ;;
	--valuable-param) valuable_param=$2 ;;
	--valuable-events) valuable_events=$2 ;;
	--key-events) key_events=$2 ;;
	--user) user=$2 ;;
	--rejects) rejects=(--rejects "$2") ;;
	--jobs) jobs=(--jobs "$2") ;;
	--validate) validate=(--validate) && return ;;
	--quiet) quiet=(--quiet) notes+=(--quiet) && return ;;
	--progress) notes+=(--progress) && return ;;
	*) return 2 ;;
	esac
	return 1
}

# What the rows mean, whoever keeps them.
active_users_settings() {
	settings=(--setting "tz=$tz" --setting "definition=$definition" --setting "user=$user"
		--setting "min-engagement=$min_engagement" --setting "valuable-events=$valuable_events"
		--setting "valuable-param=${valuable_events:-$valuable_param}" --setting "key-events=$key_events")
}

take_sketch_option() { # OPTION VALUE, as read_options wants it
	if [[ $1 != --sketch ]]; then return 2; fi
	if [[ $2 != beside && $2 != instead ]]; then usage_error "--sketch: beside or instead, not '$2'"; fi
	sketch=$2
	return 1
}

# Whether what is asked for can do with sketches, and what they need is there.
check_sketch() {
	local one
	for one in "${settings[@]}"; do
		case $sketch,$one in
		instead,valuable-events=?* | instead,definition=*ga4-active* | instead,definition=*engaged-session* | instead,definition=*summed*)
			usage_error '--sketch instead keeps no users, so one event must be enough: no --valuable-events, and no definition but engaged-valuable and google-n-day'
			;;
		esac
	done
	if [[ $sketch ]]; then need sketch; fi
}

# The option that hands the account of an import's rows to the sink.
upstream() { printf '%s\0' --upstream "$stage/rows.account"; }

part_file() { "$lib/python" -m headcount.part_file "$prog" "$@"; }

# Writes rows of day, user and signals: grep-events | parse-engagement | local-day, in one program.
active_rows() { rows_by active_rows "$@"; }

rows_by() { # MODULE OPTION…
	local options=(--user "$user" --min-engagement "$min_engagement" --definition "$definition"
		--valuable-param "$valuable_param" --tz "$tz")
	if [[ $key_events ]]; then options+=(--key-events "$key_events"); fi
	if [[ $valuable_events ]]; then options+=(--valuable-events "$valuable_events"); fi
	"$lib/python" -m "headcount.$1" "$prog" "${@:2}" "${options[@]}" "${validate[@]}" \
		"${jobs[@]}" "${rejects[@]}" "${notes[@]}" -- "${files[@]}"
}
