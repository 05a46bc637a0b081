# tide's build. `make help` lists the targets.
#
# Sources are found, not listed: every .c file below the five layer folders is part of the program,
# every .lua file below lua/ and plans/ is embedded in it, every test_*.c below tests/ is a test. Objects
# are kept apart by configuration: build/release, build/address, build/fuzz, ...
#
# The lines that begin with "#:" are the text of `make help`.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

BUILD ?= build
PREFIX ?= /usr/local
ifeq ($(filter-out default undefined,$(origin CC)),)
CC := gcc
endif
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)';)

# ---- packages -----------------------------------------------------------------------------------
# The included file is made by tools/deps.sh, which installs what is missing (or says what to install).
# make remakes included files first and then starts over, so that what follows may rely on the
# compiler. Goals that build nothing need none of it.
GOALS := $(or $(MAKECMDGOALS),all)
CACHE := $(or $(TIDE_DATA),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tide)
ifneq ($(filter-out help clean deps uninstall,$(GOALS)),)
GROUPS := build $(if $(filter test tests,$(GOALS)),test) \
          $(if $(filter demo,$(GOALS)),$(if $(wildcard $(CACHE)/mnist/train-images-idx3-ubyte),,demo)) \
          $(if $(filter lint% format,$(GOALS)),lint) \
          $(if $(filter fuzz fuzzers,$(GOALS))$(findstring clang,$(CC)),fuzz)
DEPS := $(BUILD)/deps-$(subst $() ,-,$(strip $(GROUPS))).mk
include $(DEPS)

$(DEPS): tools/deps.sh
	@mkdir -p $(@D)
	@sh tools/deps.sh $(GROUPS)
	@echo "MULTIARCH := $$(gcc -print-multiarch)" > $@
endif

# ---- configuration --------------------------------------------------------------------------------
ifneq ($(filter fuzz fuzzers,$(GOALS)),)
CC := clang
SAN := fuzz
endif
ifeq ($(filter $(SAN),address undefined thread fuzz),)
ifneq ($(SAN),)
$(error SAN=$(SAN): there are address, undefined and thread)
endif
endif
CONFIG := $(or $(SAN),release)$(if $(findstring clang,$(CC)),$(if $(filter fuzz,$(SAN)),,-clang))
O := $(BUILD)/$(CONFIG)

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla $(if $(WERROR),-Werror)
BLAS_DIR ?= /usr/lib/$(MULTIARCH)/openblas-serial
INCLUDES := -iquote . -isystem /usr/include/lua5.4 -isystem /usr/include/$(MULTIARCH)/openblas-serial
LAYER_LIBS := -llua5.4 -lzmq -lsodium -ledit -lz -lm -lpthread
# only what benchmarks measure beside; nothing else is linked with it
BLAS_LIBS := -L$(BLAS_DIR) -Wl,-rpath,$(BLAS_DIR) -lopenblas

OPT := -O2
KERNEL_OPT := -O3 -fno-math-errno -fno-trapping-math
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2
SANFLAGS :=
ifeq ($(SAN),address)
SANFLAGS := -fsanitize=address -fno-omit-frame-pointer
endif
ifeq ($(SAN),undefined)
SANFLAGS := -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# gcc loses track of ranges and of what is filled in in instrumented code; the other builds judge both
WARN += -Wno-conversion -Wno-maybe-uninitialized
endif
ifeq ($(SAN),thread)
SANFLAGS := -fsanitize=thread -fno-omit-frame-pointer
endif
ifeq ($(SAN),fuzz)
SANFLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ifneq ($(SAN),)
HARDEN := -U_FORTIFY_SOURCE
OPT := -O1
KERNEL_OPT := -O2
endif

BASE := -std=c11 -D_GNU_SOURCE -g -fPIE -ffp-contract=off $(HARDEN) $(SANFLAGS) $(INCLUDES)
LINK := -pie -Wl,-z,relro -Wl,-z,now $(SANFLAGS)

# What *_simd.c files are compiled for; the program picks a level when it starts.
ifneq ($(filter x86_64%,$(MULTIARCH)),)
LEVELS := baseline avx2 avx512
else
LEVELS := baseline
endif
LEVEL_baseline :=
LEVEL_avx2 := -mavx2 -mfma -mf16c
LEVEL_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c \
                -mprefer-vector-width=512

# ---- sources ----------------------------------------------------------------------------------------
LAYERS := runtime vm lua plans net
find = $(sort $(shell find $(1) -type f -name '$(2)' 2>/dev/null))

# $(call objects,layer): its objects; a *_simd.c file has one for each level.
simd_objects = $(foreach l,$(LEVELS),$(1:%.c=$(O)/%.$(l).o))
objects = $(patsubst %.c,$(O)/%.o,$(filter-out %_simd.c net/main.c,$(SRC_$(1)))) \
          $(call simd_objects,$(filter %_simd.c,$(SRC_$(1))))
$(foreach l,$(LAYERS),$(eval SRC_$(l) := $(call find,$(l),*.c)))
$(foreach l,$(LAYERS),$(eval OBJ_$(l) := $(call objects,$(l))))

EMBEDDED := $(call find,lua plans,*.lua) \
            $(filter-out %.lua %README %README.md,$(call find,lua/data,*))
OBJ_lua += $(O)/lua/embedded_files.o

OBJ := $(foreach l,$(LAYERS),$(OBJ_$(l)))
MAIN := $(filter net/main.c,$(SRC_net))
TIDE := $(O)/tide

#: all               the program, build/tide (build/address/tide and so on with SAN)
.PHONY: all
all: $(OBJ) $(if $(MAIN),$(TIDE)) $(if $(MAIN),$(if $(filter release,$(CONFIG)),$(BUILD)/tide))

#: layer-vm          only the objects of vm and of the layers below it (so for each layer)
UPTO_runtime := $(OBJ_runtime)
UPTO_vm := $(UPTO_runtime) $(OBJ_vm)
UPTO_lua := $(UPTO_vm) $(OBJ_lua)
UPTO_plans := $(UPTO_lua) $(OBJ_plans)
UPTO_net := $(UPTO_plans) $(OBJ_net)
.PHONY: $(LAYERS:%=layer-%)
$(foreach l,$(LAYERS),$(eval layer-$(l): $(UPTO_$(l))))

# ---- rules --------------------------------------------------------------------------------------------
# Outputs are moved into place when they are whole, so that two makes at a time do no harm.
compile = $(call say,CC,$<$(if $(2), ($(2))))mkdir -p $(@D) && \
          $(CC) $(BASE) $(WARN) $(1) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@.$$$$ && mv $@.$$$$ $@
optimise = $(if $(filter runtime/kernels/%,$<),$(KERNEL_OPT),$(OPT)) $(CFLAGS)
link = $(call say,LINK,$@)mkdir -p $(@D) && \
       $(CC) $(LINK) $(LDFLAGS) $(filter %.o,$^) $(LAYER_LIBS) $(1) -o $@.$$$$ && mv $@.$$$$ $@

# These files change when the flags do, or the list of embedded files, and what depends on them with them.
FLAGS := $(CC) $(BASE) $(OPT) $(KERNEL_OPT) $(CFLAGS) $(LINK) $(LDFLAGS) $(LAYER_LIBS)
note = $(shell mkdir -p $(O) && echo '$(2)' | cmp -s - $(O)/$(1) || echo '$(2)' > $(O)/$(1))
ifneq ($(MULTIARCH),) # not before $(DEPS) is there
$(call note,flags,$(FLAGS))
$(call note,embedded.list,$(EMBEDDED))
endif

$(O)/%.o: %.c $(O)/flags
	$(call compile,$(optimise),)
# gcc's frames for finding uses after return are aligned to 32 bytes, those of 64-byte vectors must not be there
FRAMES := $(if $(filter address-gcc,$(SAN)-$(if $(findstring clang,$(CC)),clang,gcc)),--param asan-use-after-return=0)
define level_rule
$(O)/%_simd.$(1).o: %_simd.c $(O)/flags
	$$(call compile,$$(optimise) $(FRAMES) -DTD_LEVEL=$(1) $(LEVEL_$(1)),$(1))
endef
$(foreach l,$(LEVELS),$(eval $(call level_rule,$(l))))

$(TIDE): $(OBJ) $(MAIN:%.c=$(O)/%.o)
	$(call link)
$(BUILD)/tide: $(TIDE)
	$(Q)ln -f $< $@

# The Lua library, as a C file.
$(BUILD)/tools/embed: tools/embed.c
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) -std=c11 -D_GNU_SOURCE -O1 $(WARN) $< -o $@.$$$$ && mv $@.$$$$ $@
$(O)/lua/embedded_files.c: $(BUILD)/tools/embed $(O)/embedded.list $(EMBEDDED)
	$(call say,EMBED,$@)mkdir -p $(@D) && $< $(EMBEDDED) > $@.$$$$ && mv $@.$$$$ $@
$(O)/lua/embedded_files.o: $(O)/lua/embedded_files.c lua/embedded.h $(O)/flags
	$(call compile,-O0,)

# ---- tests ----------------------------------------------------------------------------------------------
# A test of a layer is linked with that layer and what is below it, any other with everything. A .c file
# below tests/ that is no test itself belongs to all of them.
TEST_C := $(call find,tests,test_*.c)
TEST_HELPERS := $(filter-out $(TEST_C) tests/fuzz/%,$(call find,tests,*.c))
TEST_LUA := $(call find,tests/lua tests/sandbox tests/e2e,*.lua)
TEST_SH := $(call find,tests/e2e tests/tools,*.sh)
pick = $(if $(T),$(foreach t,$(1),$(if $(findstring $(T),$(t)),$(t))),$(1))
TEST_PROGRAMS := $(patsubst %.c,$(O)/%,$(call pick,$(TEST_C)))
TEST_SCRIPTS := $(call pick,$(TEST_LUA) $(TEST_SH))

test_layer = $(or $(filter $(LAYERS),$(patsubst ops,vm,$(word 2,$(subst /, ,$(1))))),net)
define test_rule
$(O)/$(1:.c=): $(O)/$(1:.c=.o) $(TEST_HELPERS:%.c=$(O)/%.o) $(UPTO_$(call test_layer,$(1)))
	$$(call link,-lcmocka)
endef
$(foreach t,$(TEST_C),$(eval $(call test_rule,$(t))))

#: test              build and run every test (T=word: those with that word in their path)
#: tests             only build the test programs
.PHONY: tests test
tests: $(TEST_PROGRAMS)
test: $(TEST_PROGRAMS) $(if $(TEST_SCRIPTS),all)
	$(Q)TIDE=$(RUN_TIDE) SAN=$(SAN) bash tools/run-tests.sh $(TEST_PROGRAMS) $(TEST_SCRIPTS)
RUN_TIDE := $(if $(filter release,$(CONFIG)),$(BUILD)/tide,$(TIDE))

# ---- fuzzing ----------------------------------------------------------------------------------------------
FUZZ_SECONDS ?= 60
FUZZERS := $(patsubst %.c,$(O)/%,$(call pick,$(call find,tests/fuzz,fuzz_*.c)))
$(call find,tests/fuzz,fuzz_*.c): ;
$(FUZZERS): $(O)/%: $(O)/%.o $(OBJ)
	$(call link,-fsanitize=fuzzer)

#: fuzz              run each decoder's fuzzer for FUZZ_SECONDS=60 (T=word picks); needs clang
#: fuzzers           only build the fuzzers
.PHONY: fuzz fuzzers
fuzzers: $(FUZZERS)
fuzz: $(FUZZERS)
	$(Q)FUZZ_SECONDS=$(FUZZ_SECONDS) bash tools/run-fuzz.sh $(FUZZERS)

# ---- benchmarks -------------------------------------------------------------------------------------------
BENCH := $(sort $(wildcard bench/*.c bench/*.lua))
SUITES := $(if $(SUITE),$(filter bench/$(SUITE).c bench/$(SUITE).lua,$(BENCH)),$(BENCH))
$(patsubst %.c,$(O)/%,$(filter %.c,$(BENCH))): $(O)/%: $(O)/%.o $(OBJ)
	$(call link,$(BLAS_LIBS))

#: bench             measure (SUITE=name: one suite); a figure is a line: suite, case, figure, unit
.PHONY: bench
bench: all $(patsubst %.c,$(O)/%,$(filter %.c,$(SUITES)))
	$(if $(SUITES),,$(error no suite '$(SUITE)'; there are: $(or $(sort $(basename $(notdir $(BENCH)))),none)))
	$(Q)TIDE=$(RUN_TIDE) bash tools/run-bench.sh $(patsubst %.c,$(O)/%,$(SUITES))

#: bench-peers       whole training steps in tide and in PyTorch, in turn (T=word: some); needs python3-torch
.PHONY: bench-peers
PEERS_PYTHON ?= /usr/bin/python3
bench-peers: all $(O)/bench/fma
	$(Q)if $(PEERS_PYTHON) -c 'import torch' 2>/dev/null; then \
	    $(PEERS_PYTHON) bench/peers/run.py $(RUN_TIDE) $(O)/bench/fma $(T); \
	else \
	    echo "bench-peers: nothing to compare with: $(PEERS_PYTHON) has no torch (Debian: apt-get install python3-torch)"; \
	fi

# ---- checks -----------------------------------------------------------------------------------------------
#: check-layers      no include, symbol or require points from a layer to a higher one
.PHONY: check-layers
check-layers: all
	$(Q)bash tools/check-layers.sh $(O)

C_FILES := $(call find,$(LAYERS) tests bench tools,*.[ch])
LUA_FILES := $(call find,lua plans tests bench examples,*.lua)
#: lint              clang-format, cppcheck and luacheck
.PHONY: lint lint-format lint-c lint-lua
lint: lint-format lint-c lint-lua
#: lint-format       only clang-format
lint-format:
	$(Q)clang-format --dry-run --Werror $(C_FILES)
#: lint-c            only cppcheck
lint-c:
	$(Q)mkdir -p $(BUILD)/cppcheck && cppcheck --quiet -j2 --std=c11 --platform=unix64 --language=c \
	    --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --suppressions-list=tools/cppcheck.txt --cppcheck-build-dir=$(BUILD)/cppcheck \
	    -D_GNU_SOURCE -DTD_LEVEL=baseline -I. $(filter %.c,$(C_FILES))
#: lint-lua          only luacheck
lint-lua:
	$(Q)luacheck --quiet --no-color $(LUA_FILES) $(if $(LUA_FILES),,.luacheckrc)
#: format            clang-format -i on the files named by F=, or on all
.PHONY: format
format:
	clang-format -i $(or $(F),$(C_FILES))

# ---- for users --------------------------------------------------------------------------------------------
#: demo              fetch MNIST and run the federated tutorial on it
.PHONY: demo
demo: all
	$(Q)bash tools/fetch-mnist.sh
	$(Q)$(RUN_TIDE) examples/mnist_federated.lua

#: install           into $(DESTDIR)$(PREFIX); PREFIX=/usr/local
#: uninstall         what install put there
.PHONY: install uninstall
SHARE := $(DESTDIR)$(PREFIX)/share/tide
install: all
	install -D -s $(RUN_TIDE) $(DESTDIR)$(PREFIX)/bin/tide
	install -D -m 644 -t $(SHARE) README.md LICENSE
	install -D -m 644 -t $(SHARE)/examples $(wildcard examples/*.lua)
uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/bin/tide $(SHARE)

#: deps              install every package that building, testing and linting need (apt)
.PHONY: deps
deps:
	@sh tools/deps.sh all

#: clean             remove build/
.PHONY: clean
clean:
	rm -rf $(BUILD)

#: help              this list
.PHONY: help
help:
	@echo 'Targets:'
	@sed -n 's/^#: /  /p' Makefile
	@echo 'Variables:'
	@sed -n 's/^#= /  /p' Makefile

#= V=1               whole command lines
#= SAN=address       a build of its own with that sanitizer: address, undefined or thread
#= CC=clang          the other compiler (also a build of its own)
#= WERROR=1          a warning is an error
#= BUILD=dir         somewhere other than build/

-include $(shell find $(O) -name '*.d' 2>/dev/null)
