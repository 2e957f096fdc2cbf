# The containers that `rootlet ps` lists with the option that is the last word; those before it are for compadd.
_rootlet_containers() {
    local expl
    local -a names
    names=(${(f)"$(_call_program containers rootlet ps $@[-1] 2>/dev/null)"})
    _wanted containers expl container compadd "${@[1,-2]}" -a names
}
