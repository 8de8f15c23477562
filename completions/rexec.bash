# bash completion for rexec(1). Thin on purpose: the binary knows its verbs, flags, nodes and jobs.
_rexec() {
  local line candidate
  COMPREPLY=()
  while IFS= read -r line; do
    candidate=${line%%$'\t'*}
    case $candidate in
      :file) compopt -o default -o filenames; COMPREPLY=(); return ;;
      :command) compopt -o default -o filenames; COMPREPLY=($(compgen -c -- "$2")); return ;;
      ?*) COMPREPLY+=("$candidate") ;;
    esac
  done < <("${COMP_WORDS[0]}" __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  # A list such as n1,n2 or a --flag= goes on without a space.
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=,] ]] && compopt -o nospace
}
complete -F _rexec rexec
