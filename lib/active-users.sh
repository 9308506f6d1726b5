# What count-active-users and import-active-users share: options, and rows of active users.
# shellcheck shell=bash disable=SC2034,SC2154 # read by the pipelines; files is set by pipeline.sh

tz=America/Chicago
definition=engaged-valuable
min_engagement=3
valuable_param=engaged_session_event
valuable_events=
user=user_pseudo_id
validate=
rejects=() # the option, for those that reject
notes=()   # options for the first filter, which reads the files
quiet=()

take_active_users_option() { # OPTION VALUE, as read_options wants it
	case $1 in
	--tz) tz=$2 ;;
	--definition) definition=$2 ;;
	--min-engagement) min_engagement=$2 ;;
	--valuable-param) valuable_param=$2 ;;
	--valuable-events) valuable_events=$2 ;;
	--user) user=$2 ;;
	--rejects) rejects=(--rejects "$2") ;;
	--validate) validate=1 && return ;;
	--quiet) quiet=(--quiet) && return ;;
	--progress) notes=(--progress) && return ;;
	*) return 2 ;;
	esac
	return 1
}

# Writes rows of day, user and signals; the filters' accounts go to $stage, in $upstream's order.
active_users() {
	local parse=("$bin/parse-engagement" --account "$stage/parse" "${rejects[@]}"
		--user "$user" --min-engagement "$min_engagement" --valuable-param "$valuable_param"
		--definition "$definition")
	if [[ $valuable_events ]]; then parse+=(--valuable-events "$valuable_events"); fi
	if [[ $tz == device ]]; then parse+=(--with-offset); fi
	events "${parse[@]}" |
		"$bin/local-day" --tz "$tz" --account "$stage/days" "${rejects[@]}"
	worst "${PIPESTATUS[@]}"
}

# Runs the parser on all lines, or behind a search for those that can matter.
events() { # PARSER…
	if [[ $validate ]]; then
		"$@" "${notes[@]}" "${quiet[@]}" -- "${files[@]}"
		return
	fi
	"$bin/grep-events" --positions --account "$stage/grep" "${notes[@]}" "${quiet[@]}" \
		"user_engagement${valuable_events:+,$valuable_events}" -- "${files[@]}" |
		"$@" --positions
	worst "${PIPESTATUS[@]}"
}

# The options that hand the accounts of the filters above to a sink.
upstream() {
	if [[ ! $validate ]]; then printf '%s\n' --upstream "$stage/grep"; fi
	printf '%s\n' --upstream "$stage/parse" --upstream "$stage/days"
}
