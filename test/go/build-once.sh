# Sourced by the scripts that build Go programs for tests, with `name` (of the cache folder), `title` (for people) and `here`
# (the module) set and a function `compile FOLDER` defined: builds once per version of the module's sources into the user's
# cache folder, outside version control. Progress goes to standard error.
# shellcheck shell=bash

cache=${XDG_CACHE_HOME:-$HOME/.cache}/registry-mirror-operator
partial=

# Prints the folder with the programs, the last line on standard output. BUILT_ONLY=1: fails where they are not built yet.
build_once() {
  local folder
  folder=$cache/$name-$(sources_hash)
  [ -d "$folder" ] || unless_built_only
  [ -d "$folder" ] || build_into "$folder"
  echo "$folder"
}

unless_built_only() {
  [ -z "${BUILT_ONLY:-}" ] && return
  say 'not built yet'
  exit 3
}

sources_hash() {
  cd "$here"
  { cat go.mod go.sum; find . -name '*.go' -print0 | LC_ALL=C sort -z | xargs -0 -r cat; } | sha256sum | cut -c1-16
}

# Two test runs started together must not build twice: the second waits for the first and then finds the folder.
build_into() {
  local toolchain
  toolchain=$("$(dirname "${BASH_SOURCE[0]}")/toolchain" "$here")
  PATH=$toolchain:$PATH
  mkdir -p "$cache"
  exec 9> "$cache/$name.lock"
  flock --nonblock 9 || { say 'Another build is running; waiting for it'; flock 9; }
  [ ! -d "$1" ] || return 0
  rm -rf "$cache/$name"-*.partial.* # left by a build that was killed: whoever made them held the lock
  partial=$1.partial.$$
  trap 'rm -rf "$partial"' EXIT
  mkdir "$partial"
  (cd "$here" && GOWORK=off CGO_ENABLED=0 compile "$partial")
  mv -T "$partial" "$1"
  say "Built in ${SECONDS} s: $1"
}

# `go build -v` prints one line per compiled package: count those, pass on everything else (downloads, errors).
progress() {
  awk '/^[^ ]+$/ { if (++packages % 200) next; $0 = "  " packages " packages compiled" } { print; fflush() }'
}

say() {
  echo "$title: $*" >&2
}
