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

# Writes rows of day, user and signals: grep-events | parse-engagement | local-day, in one program.
active_rows() { # OPTION…
	local options=(--user "$user" --min-engagement "$min_engagement" --definition "$definition"
		--valuable-param "$valuable_param" --tz "$tz")
	if [[ $key_events ]]; then options+=(--key-events "$key_events"); fi
	if [[ $valuable_events ]]; then options+=(--valuable-events "$valuable_events"); fi
	"$lib/python" -m headcount.active_rows "$prog" "$@" "${options[@]}" "${validate[@]}" \
		"${jobs[@]}" "${rejects[@]}" "${notes[@]}" -- "${files[@]}"
}
