# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What ./run and ./test share: building a preset and the web UI, quietly unless something fails.
# Sourced with $here set to the root of the tree.
: "${here:?set to the root of the tree by the caller}"

# build_preset PRESET TARGET...: configures when needed and builds; ninja's own progress on a terminal.
build_preset() {
  local preset=$1 directory log
  shift
  directory=$here/build/$preset
  log=$directory/build.log
  mkdir -p "$directory"
  if [ ! -f "$directory/build.ninja" ]; then
    (cd "$here" && cmake --preset "$preset") >"$log" 2>&1 ||
      { tail -n 30 "$log" >&2; echo "configuring $preset failed; the whole output is in $log" >&2; return 1; }
  fi
  if [ -t 1 ]; then
    cmake --build "$directory" --target "$@"
  else
    cmake --build "$directory" --target "$@" >"$log" 2>&1 ||
      { grep -E -A 12 'FAILED|error:' "$log" | head -n 60 >&2; echo "building $preset failed; the whole output is in $log" >&2; return 1; }
  fi
}

# build_ui: ui-web/dist, again only when a source is newer.
build_ui() {
  local ui=$here/ui-web log
  [ -f "$ui/package.json" ] || return 0
  if [ -f "$ui/dist/index.html" ] &&
    [ -z "$(find "$ui" -path "$ui/node_modules" -prune -o -path "$ui/dist" -prune -o -type f -newer "$ui/dist/index.html" -print -quit)" ]; then
    return 0
  fi
  log=$here/build/ui.log
  mkdir -p "$here/build"
  (cd "$ui" && npm run --silent build) >"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; echo "building the web UI failed; the whole output is in $log" >&2; return 1; }
}
