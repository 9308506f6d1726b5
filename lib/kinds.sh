# What pipelines with inputs of several kinds share: which is which, and folders of them.
# shellcheck shell=bash disable=SC2154 # files is pipeline.sh's; kinds, all there are, the pipeline's

kind=''            # of the inputs that are named next
declare -A kind_of # each of `files`

# --KIND FILE…: what follows is of that kind.
take_kind() { # OPTION VALUE, as read_options wants it
	if [[ " ${kinds[*]} " != *" ${1#--} "* ]]; then return 2; fi
	if [[ ! $2 ]]; then usage_error "$1: name files"; fi
	kind=${1#--} && take_file "$2"
	return 1
}

# A folder stands for the files in it.
take_file() { # PATH
	local file count=${#files[@]}
	if [[ ! $kind ]]; then usage_error "is $(printf %q "$1") $(any_kind)?"; fi
	if [[ ! -d $1 ]]; then
		add_file "$1"
		return
	fi
	while IFS= read -rd '' file; do add_file "$file"; done < <(
		find -H "$1" -mindepth 1 -name '[._]*' -prune -o \( -type f -o -type l \) -print0 | sort -z
	)
	if ((${#files[@]} == count)); then die 66 "$(printf %q "$1"): no files in it"; fi
}

# Names that start with . or _ are not data: programs that write folders of parts leave marks and
# checksums beside them.
add_file() { # FILE
	local file=$1
	if [[ ${file##*/} == [._]* ]]; then return; fi
	if [[ $file == -?* ]]; then file=./$file; fi
	case ${kind_of[$file]-} in
	'') kind_of[$file]=$kind && files+=("$file") ;;
	"$kind") ;;
	*) usage_error "$(printf %q "$1") is named as --${kind_of[$file]} and as --$kind" ;;
	esac
}

# All options that name inputs, for a sentence.
any_kind() {
	local named
	printf -v named -- '--%s, ' "${kinds[@]:0:${#kinds[@]}-1}"
	printf '%s or --%s' "${named%, }" "${kinds[-1]}"
}

# The options that name `files` again, for a program.
files_by_kind() { # prints them, each ended by NUL
	local file kind
	for kind in "${kinds[@]}"; do
		printf -- '--%s\0' "$kind"
		for file in "${files[@]}"; do
			if [[ ${kind_of[$file]} == "$kind" ]]; then printf '%s\0' "$file"; fi
		done
	done
}
