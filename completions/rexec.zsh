#compdef rexec
# zsh completion for rexec(1). Thin on purpose: the binary knows its verbs, flags, nodes and jobs.
_rexec() {
  local line word help
  local -a candidates
  for line in ${(f)"$($words[1] __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
    word=${line%%$'\t'*} help=${line#*$'\t'}
    case $word in
      :file) _files; return ;;
      :command) _command_names -e; return ;;
    esac
    [[ $word == $line ]] && help=
    candidates+=("${word//:/\\:}${help:+:$help}")
  done
  (( $#candidates )) && _describe -V rexec candidates
}
if [[ $funcstack[1] == _rexec ]]; then
  _rexec "$@"
else
  compdef _rexec rexec
fi
