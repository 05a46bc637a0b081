# tide's build. `make help` lists the targets.
#
# Sources are found, not listed: every .c file below the five layer folders is part of the program,
# every .lua file below lua/ and plans/ is embedded in it, every test_*.c below tests/ is a test. Objects
# are kept apart by configuration: build/release, build/address, build/fuzz, ...
#
#   V=1          whole command lines          WERROR=1     a warning is an error
#   CC=clang     the other compiler           SAN=address|undefined|thread
#   BUILD=dir    somewhere other than build/

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

BUILD ?= build
PREFIX ?= /usr/local
ifeq ($(filter-out default undefined,$(origin CC)),)
CC := gcc
endif
AR_CHECK :=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)';)

# ---- packages -----------------------------------------------------------------------------------
# The included files are made by tools/deps.sh, which installs what is missing (or says what to
# install). make remakes included files first and then starts over, so that what follows may rely on
# the compiler. Goals that build nothing need none of it.
GOALS := $(or $(MAKECMDGOALS),all)
GROUPS := $(if $(filter-out help clean deps,$(GOALS)),build) \
          $(if $(filter test tests,$(GOALS)),test) \
          $(if $(filter demo,$(GOALS)),demo) \
          $(if $(filter lint,$(GOALS)),lint) \
          $(if $(filter fuzz fuzzers,$(GOALS))$(findstring clang,$(CC)),fuzz)
include $(GROUPS:%=$(BUILD)/deps-%.mk)

$(BUILD)/deps-%.mk: tools/deps.sh
	@mkdir -p $(@D)
	@sh tools/deps.sh $*
	@{ [ $* != build ] || echo "MULTIARCH := $$(gcc -print-multiarch)"; } > $@

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

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes $(if $(WERROR),-Werror)
BLAS_DIR ?= /usr/lib/$(MULTIARCH)/openblas-serial
INCLUDES := -iquote . -isystem /usr/include/lua5.4 -isystem /usr/include/$(MULTIARCH)/openblas-serial
LAYER_LIBS := -L$(BLAS_DIR) -Wl,-rpath,$(BLAS_DIR) -lopenblas -llua5.4 -lzmq -lsodium -lmsgpackc \
              -ledit -lz -lcjson -lm -lpthread

OPT := -O2
KERNEL_OPT := -O3 -fno-math-errno -fno-trapping-math
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2
SANFLAGS :=
ifeq ($(SAN),address)
SANFLAGS := -fsanitize=address -fno-omit-frame-pointer
endif
ifeq ($(SAN),undefined)
SANFLAGS := -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
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

.PHONY: all
all: $(OBJ) $(if $(MAIN),$(TIDE)) $(if $(MAIN),$(if $(filter release,$(CONFIG)),$(BUILD)/tide))

# `make layer-vm`: the objects of vm and of all below it.
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

# Changes when the flags do, and takes all objects of the configuration with it.
FLAGS := $(CC) $(BASE) $(OPT) $(KERNEL_OPT) $(CFLAGS) $(LINK) $(LDFLAGS) $(LAYER_LIBS)
$(shell mkdir -p $(O) && echo '$(FLAGS)' | cmp -s - $(O)/flags || echo '$(FLAGS)' > $(O)/flags)

$(O)/%.o: %.c $(O)/flags
	$(call compile,$(optimise),)
define level_rule
$(O)/%_simd.$(1).o: %_simd.c $(O)/flags
	$$(call compile,$$(optimise) -DTD_LEVEL=$(1) $(LEVEL_$(1)),$(1))
endef
$(foreach l,$(LEVELS),$(eval $(call level_rule,$(l))))

$(TIDE): $(OBJ) $(MAIN:%.c=$(O)/%.o)
	$(call link)
$(BUILD)/tide: $(TIDE)
	$(Q)ln -f $< $@

# The Lua library, as a C file. The list changes when a file comes or goes.
$(shell echo '$(EMBEDDED)' | cmp -s - $(O)/embedded.list || echo '$(EMBEDDED)' > $(O)/embedded.list)
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

.PHONY: tests test
tests: $(TEST_PROGRAMS)
test: $(TEST_PROGRAMS) $(if $(TEST_SCRIPTS),all)
	$(Q)TIDE=$(if $(filter release,$(CONFIG)),$(BUILD)/tide,$(TIDE)) SAN=$(SAN) \
	    bash tools/run-tests.sh $(TEST_PROGRAMS) $(TEST_SCRIPTS)

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(O) -name '*.d' 2>/dev/null)
