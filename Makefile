# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# A thin front to CMake, ctest and scripts/; every rule is one or two commands that also work by hand.
CCACHE = $(if $(shell command -v ccache),-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
CTEST = ctest --test-dir build/release --output-on-failure --no-tests=error
SOURCES = git ls-files '*.cc' '*.h' '*.c'
ARGS ?= --all

# sudo forgets where Go was installed by hand; install-test-deps.sh fetches one when it is too old.
export PATH := $(or $(ZEROSPAN_CACHE),$(HOME)/.cache/zerospan)/go/bin:$(PATH):/usr/local/go/bin

.PHONY: help build run test test-all vmtest vmtest-ci vmtest-all vmtest-arm64 arm64 bench bench-parents fuzz format check-format clean deps test-deps release

help:
	@echo 'make build         build/release/zerospan and everything its tests need'
	@echo 'sudo make run      install the build dependencies, build, and watch every program of this host (ARGS="--port 80")'
	@echo 'sudo make test     install the test programs and run the tests (a few minutes when built)'
	@echo 'sudo make test-all the same with every server, and the long runs'
	@echo 'sudo make vmtest   a core of them on kernels 5.10, 6.1, 6.12 and 6.18, in virtual machines (vmtest-all: on all of vmtests/kernels, and on arm64)'
	@echo 'sudo make arm64    build/arm64/zerospan, for arm64 on another processor (vmtest-arm64: its tests in a virtual machine)'
	@echo 'sudo make bench    cost per request, memory, start and stop, as one table'
	@echo 'sudo make bench-parents how many calls get the right parent, by runtime and framework (BENCH="--only Go")'
	@echo 'make fuzz          each fuzz target for 60 s (FUZZ_SECONDS=600)'
	@echo 'make format        clang-format-16 on every source; check-format only looks'

deps:
	@scripts/install-deps.sh

test-deps: deps
	@scripts/install-test-deps.sh

# What `make run` ships needs no test library.
run: deps
	@cmake --preset release $(CCACHE) -DZEROSPAN_TESTS=OFF >/dev/null
	@cmake --build build/release --target zerospan
	@build/release/zerospan trace $(ARGS)

release:
	cmake --preset release $(CCACHE) -DZEROSPAN_TESTS=ON
	cmake --build build/release

build: test-deps release

# One after the other. With -j3 what gives way to others (chrt --idle) runs beside them, in a third less time.
test: test-deps release
	$(CTEST) -LE 'slow|vm'

test-all: test-deps
	@scripts/install-test-deps.sh --all
	@scripts/install-test-deps.sh --vm
	$(MAKE) release
	$(CTEST)

vmtest: test-deps release
	@scripts/install-test-deps.sh --vm
	@status=0; for part in 'test_run.py' 'matrix $(VMTEST)' 'test_conditions.py' 'test_spans.py'; do \
	  VMTEST_KERNELS='$(VMTEST_KERNELS)' /usr/bin/python3 -B vmtests/$$part || status=1; done; exit $$status

# A few of them on two kernels, in some 5 minutes.
vmtest-ci: test-deps release
	@scripts/install-test-deps.sh --vm
	$(CTEST) -L vm

vmtest-all:
	$(MAKE) vmtest VMTEST=--all VMTEST_KERNELS=all
	$(MAKE) vmtest-arm64

# Without the unit tests, which are made for the machine that builds them.
arm64: deps
	@scripts/install-deps.sh --arm64
	root=$$(vmtests/arm64_root.py) && ZEROSPAN_ARM64_ROOT=$$root cmake --preset arm64 $(CCACHE) -DZEROSPAN_TESTS=OFF
	cmake --build build/arm64 --target zerospan

vmtest-arm64: test-deps arm64
	@scripts/install-test-deps.sh --vm
	vmtests/matrix --arch arm64 --timeout 7200

bench: test-deps release
	/usr/bin/python3 bench/bench.py

bench-parents: test-deps release
	@scripts/install-test-deps.sh --parents
	/usr/bin/python3 bench/parents.py $(BENCH)

fuzz: test-deps
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) scripts/run-preset.sh fuzz fuzz

format:
	$(SOURCES) | xargs clang-format-16 -i

check-format:
	$(SOURCES) | xargs clang-format-16 --dry-run --Werror

clean:
	rm -rf build
