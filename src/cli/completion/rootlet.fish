# Prints the words that come after a verb and so many words that are no options, but for the one that is typed; fails if
# there are fewer. The options whose value is the next word are the other arguments.
function __fish_rootlet_rest --argument-names verb place
    set -l valued $argv[3..]
    set -l words (commandline -opc)
    set -e words[1]
    while string match -q -- '-*' "$words[1]"
        set -e words[1]
    end
    test "$words[1]" = $verb
    or return 1
    set -e words[1]
    set -l ended no
    while set -q words[1]
        set -l word $words[1]
        if test $ended = no; and test "$word" = --
            set ended yes
        else if test $ended = no; and string match -q -- '-?*' "$word"
            if contains -- $word $valued
                set -e words[1]
            end
        else if test $place -eq 0
            break
        else
            set place (math $place - 1)
        end
        set -q words[1]
        and set -e words[1]
    end
    test $place -eq 0
    or return 1
    set -q words[1]
    and printf '%s\n' $words
    return 0
end

# Whether the word that is typed is the next one.
function __fish_rootlet_at
    set -l rest (__fish_rootlet_rest $argv)
    and not set -q rest[1]
end

# Completes the command that the words are, as the shell does.
function __fish_rootlet_command
    set -l words (__fish_rootlet_rest $argv)
    set -q words[1]
    and set words (string escape -- $words)
    set -a words (commandline -ct)
    complete --do-complete="$words"
end
