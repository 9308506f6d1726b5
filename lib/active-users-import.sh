# What import-active-users and spark-active-users share: how events come into the database.
# shellcheck shell=bash disable=SC2034,SC2154 # settings, files and stage are those of the others
# shellcheck source=lib/import.sh
. "$lib/import.sh"
# shellcheck source=lib/active-users.sh
. "$lib/active-users.sh"

pseudonym_key=''
range=() # of days whose files are to be read

take_active_users_import_option() { # OPTION VALUE, as read_options wants it
	local used=0
	case $1 in
	--pseudonym-key)
		if [[ ! $2 ]]; then usage_error '--pseudonym-key: name a file'; fi
		pseudonym_key=$2
		return 1
		;;
	--inputs | --since | --until) range+=("$1" "$2") && return 1 ;;
	esac
	take_import_option "$@" || used=$?
	if ((used == 2)); then
		used=0
		take_sketch_option "$@" || used=$?
	fi
	if ((used == 2)); then
		used=0
		take_active_users_option "$@" || used=$?
	fi
	return "$used"
}

# FUNCTION writes the rows of `files`, with the options that it is given.
import_active_users() { # FUNCTION
	find_rows=$1
	if ((${#range[@]})); then take_range "${range[@]}"; fi
	active_users_settings
	settings+=(--setting "sketch=$sketch" --setting "pseudonym-key=$pseudonym_key")
	check_sketch
	import active_users active_day
}

active_users() {
	"$find_rows" --mergeable --account "$stage/rows.account" ${pseudonym_key:+--pseudonym-key "$pseudonym_key"}
}
