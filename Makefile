# What a contributor types. Every target does its own set-up on a fresh Debian 12.
BUILD ?= build
ASAN ?= build-asan
TSAN ?= build-tsan
TSAN_UNITS = unit_store unit_controller unit_net unit_agent unit_client unit_job
CMAKE_FLAGS = -G Ninja -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local

all: $(BUILD)/build.ninja
	ninja -C $(BUILD) -j $(JOBS) rexec

$(BUILD)/build.ninja: CMakeLists.txt tests/CMakeLists.txt | deps-build
	cmake -S . -B $(BUILD) $(CMAKE_FLAGS) -DCMAKE_BUILD_TYPE=Release

$(ASAN)/build.ninja: CMakeLists.txt tests/CMakeLists.txt | deps
	cmake -S . -B $(ASAN) $(CMAKE_FLAGS) -DCMAKE_BUILD_TYPE=Debug -DREXEC_SANITIZE=ON -DREXEC_FUZZ=ON

$(TSAN)/build.ninja: CMakeLists.txt tests/CMakeLists.txt | deps
	cmake -S . -B $(TSAN) $(CMAKE_FLAGS) -DCMAKE_BUILD_TYPE=Debug -DREXEC_TSAN=ON

# What the binary needs; the tests need more.
deps-build:
	@cmake/deps.sh build

deps:
	@cmake/deps.sh

test: deps all
	ninja -C $(BUILD) -j $(JOBS)
	tests/run.py --build $(BUILD)

asan: $(ASAN)/build.ninja
	ninja -C $(ASAN) -j $(JOBS)
	tests/run.py --build $(ASAN) --fuzz-seconds $(or $(FUZZ_SECONDS),30)

crash: deps all
	ninja -C $(BUILD) -j $(JOBS) rexec-faulty
	REXEC_CRASH=all tests/run.py --build $(BUILD) --only test_matrix

chaos: deps all
	tests/chaos/run.py --binary $(BUILD)/rexec --seconds $(or $(SECONDS_OF_CHAOS),600)

tsan: $(TSAN)/build.ninja
	ninja -C $(TSAN) -j $(JOBS) rexec rexec-faulty $(TSAN_UNITS)
	tests/tsan.sh $(TSAN)

lint: deps $(BUILD)/build.ninja
	tests/lint.sh $(BUILD)

demo: all
	tests/demo.sh $(BUILD)/rexec

bench: deps all
	tests/bench/run.sh $(BUILD)/rexec

install: all
	install -D -m 755 $(BUILD)/rexec $(DESTDIR)$(PREFIX)/bin/rexec
	for p in man/*.1; do install -D -m 644 $$p $(DESTDIR)$(PREFIX)/share/man/man1/$$(basename $$p); done
	install -D -m 644 completions/rexec.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/rexec
	install -D -m 644 completions/rexec.zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_rexec
	install -D -m 644 completions/rexec.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/rexec.fish

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/rexec $(DESTDIR)$(PREFIX)/share/man/man1/rexec.1 $(DESTDIR)$(PREFIX)/share/man/man1/rexec-*.1
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/rexec $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_rexec
	rm -f $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/rexec.fish

clean:
	rm -rf $(BUILD) $(ASAN) $(TSAN)

.PHONY: all deps deps-build test asan tsan crash chaos lint demo bench install uninstall clean
