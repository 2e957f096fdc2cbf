# What may follow a verb, which sets some of these: `containers`, how `rootlet ps` lists those that are meant; `many`, if
# there may be several; `words`, if it is one of these; `files`, if it is files; `command`, after how many words a command
# begins; and `valued`, the options whose value is the next word.
_rootlet_verb() {
    case $1 in
    # VERBS
    esac
}

# Goes past each = and : with which bash parts a word, and what follows it.
_rootlet_joined() {
    while ((at <= COMP_CWORD)) && [[ ${COMP_WORDS[at]} == [=:]* ]]; do
        ((at += 2))
    done
}

# Goes to the word that is typed, or to the first one of the command, and past the former if it is an option's value.
_rootlet_look() {
    local word begun
    while ((at < COMP_CWORD)); do
        word=${COMP_WORDS[at]}
        if [[ ! $ended && $word == -- ]]; then
            ended=1
        elif [[ ! $ended && $word == -* ]]; then
            begun=$((at + 1)) at=$begun
            _rootlet_joined
            if ((at == begun)) && [[ " $valued " == *" $word "* ]]; then
                ((at += 1))
                _rootlet_joined
            fi
            continue
        elif [[ ! $verb ]]; then
            verb=$word
            _rootlet_verb "$verb"
        elif [[ $seen == "$command" ]]; then
            return
        else
            ((seen += 1))
        fi
        ((at += 1))
        _rootlet_joined
    done
}

# Completes a command that begins at this word, as the shell does.
_rootlet_command() {
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$1"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif (($1 == COMP_CWORD)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$2" | sort -u)
    else
        COMPREPLY=()
    fi
}

# What complete calls: the names of containers and the words of a command are found here, the rest above.
_rootlet_line() {
    local verb='' containers='' many='' words='' files='' command='' valued=''
    local ended='' seen=0 at=1 current=$2 previous=$3
    if [[ $current == = ]]; then
        current=
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    _rootlet_look
    COMPREPLY=()
    if [[ ! $verb ]] || ((at > COMP_CWORD)); then
        _rootlet "$1" "$current" "$previous"
    elif ((at == COMP_CWORD)) && [[ ! $ended && $current == -* ]]; then
        _rootlet "$1" "$current" "$previous"
    elif [[ $seen == "$command" ]]; then
        _rootlet_command "$at" "$current"
    elif [[ $containers && ($many || $seen == 0) ]]; then
        compopt +o default +o bashdefault 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -W "$(rootlet ps "$containers" 2>/dev/null)" -- "$current")
    elif [[ $words && $seen == 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    elif [[ ! $files ]]; then
        _rootlet "$1" "$current" "$previous"
    fi
}

complete -F _rootlet_line -o bashdefault -o default rootlet
