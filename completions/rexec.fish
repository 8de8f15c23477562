# fish completion for rexec(1). Thin on purpose: the binary knows its verbs, flags, nodes and jobs.
function __rexec_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete -- $words[2..-1] 2>/dev/null)
        switch $line
            case ':file'
                __fish_complete_path (commandline -ct)
            case ':command'
                __fish_complete_command
            case '*'
                echo $line
        end
    end
end
complete -c rexec -f -a '(__rexec_complete)'
