# Sets COMPREPLY to the words of $1 that begin with $2.
_docker_registry_server_offer() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

# Offers values of a kind, as --help names it; none for the kinds that are not listed here.
_docker_registry_server_offer_kind() {
    case $1 in
    directory) mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
    file | script | path) mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
    user) mapfile -t COMPREPLY < <(compgen -u -- "$2") ;;
    level) _docker_registry_server_offer "error warn info debug" "$2" ;;
    topic) _docker_registry_server_offer "$_docker_registry_server_topics" "$2" ;;
    hook) _docker_registry_server_offer "$_docker_registry_server_hooks" "$2" ;;
    esac
    case $1 in
    directory | file | script | path) compopt -o filenames 2>/dev/null || true ;;
    esac
}

# Offers the words that may follow "$1", the words before: those of the table's lines that begin
# with them. A line may lead on to an argument instead, [kind].
_docker_registry_server_offer_next() {
    local line next words="" kind=""
    while IFS= read -r line; do
        [[ "$line " == "${1:+$1 }"* ]] || continue
        line=${line:${#1}}
        next=${line# }
        next=${next%% *}
        case $next in
        "") ;;
        "["*) kind=${next//[\[\]]/} ;;
        *) [[ " $words" == *" $next "* ]] || words+="$next " ;;
        esac
    done <<<"$_docker_registry_server_commands"
    # Users of the registry are not those of the system, which --run-as names.
    [[ -z $kind || $kind == user ]] || _docker_registry_server_offer_kind "$kind" "$2"
    local -a found=("${COMPREPLY[@]}")
    _docker_registry_server_offer "$words" "$2"
    COMPREPLY=("${found[@]}" "${COMPREPLY[@]}")
}

_docker_registry_server() {
    local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} command=serve before="" i kind
    COMPREPLY=()
    # bash makes three words of --name=value.
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $option == "=" ]]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [[ $COMP_CWORD -gt 1 && ${COMP_WORDS[1]} != -* ]]; then
        command=${COMP_WORDS[1]}
    fi
    kind=$(_docker_registry_server_value "$option")
    if [[ -n $kind ]]; then
        _docker_registry_server_offer_kind "$kind" "$cur"
        return
    fi
    if [[ $cur == -* ]]; then
        _docker_registry_server_offer "$(_docker_registry_server_options "$command")" "$cur"
        return
    fi
    # The words before, without options and their values.
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -*)
            if [[ ${COMP_WORDS[i + 1]} == "=" ]]; then
                ((i += 2))
            elif [[ -n $(_docker_registry_server_value "${COMP_WORDS[i]}") ]]; then
                ((i++))
            fi
            ;;
        *) before+="${before:+ }${COMP_WORDS[i]}" ;;
        esac
    done
    if [[ -z $before && $COMP_CWORD -gt 1 ]]; then
        return # an option came first: the command is serve
    fi
    _docker_registry_server_offer_next "$before" "$cur"
}

complete -F _docker_registry_server docker-registry-server
