#!/usr/bin/env bash
# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# run-preset.sh PRESET LABEL: configures a CMake preset, builds only the targets behind its tests of
# that label (a test that needs a build is named like its target), and runs them. FUZZ_SECONDS is for how long
# each fuzz target runs; 10 by default.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
label=$2
folder=build/$preset
[ "$preset" != fuzz ] || folder=build/asan

launcher=()
if command -v ccache >/dev/null 2>&1; then
  launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
cmake --preset "$preset" "${launcher[@]}" -DZEROSPAN_FUZZ_SECONDS="${FUZZ_SECONDS:-10}" >"$folder.configure.log" 2>&1 || {
  cat "$folder.configure.log" >&2
  exit 1
}
mapfile -t targets < <(ctest --test-dir "$folder" -N -L "$label" 2>/dev/null | sed -n 's/^ *Test *#[0-9]*: //p')
if [ ${#targets[@]} -eq 0 ]; then
  echo "$0: preset $preset has no test with the label $label" >&2
  exit 1
fi
cmake --build "$folder" --target "${targets[@]}"
# ThreadSanitizer's shadow does not fit every layout that recent kernels choose at random.
fixed_layout=()
if [ "$preset" = tsan ] && setarch -R true 2>/dev/null; then
  fixed_layout=(setarch -R)
fi
# Each fuzz target runs for a time by the clock: two of them share a processor.
jobs=$(nproc)
[ "$label" != fuzz ] || jobs=$((2 * jobs))
export TSAN_OPTIONS=suppressions=$PWD/tests/presets/tsan.supp
"${fixed_layout[@]}" ctest --test-dir "$folder" -L "$label" --output-on-failure -j "$jobs" --no-tests=error
