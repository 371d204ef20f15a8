# Builds what a package of the library holds, and installs it. Included by ../Makefile; used from there:
#
#   make install     into $(DESTDIR)$(PREFIX)
#   make uninstall   what the manifest in the prefix names
#   make sizes       the table of sizes and times in README (builds the profiles release and small)
#
# One archive of Cargo's is the source of both libraries. `ld -r` makes one object of what our functions reach, objcopy makes
# every symbol local that the header does not declare; the archive is that object, and the shared library is linked from
# it. Sections stay apart by function, so that the linker of a consumer can still drop what is not used.

PREFIX  ?= /usr/local
LIBDIR  ?= lib
# Or small: see README, "Measured".
PROFILE ?= release
OBJCOPY ?= objcopy
NM      ?= nm

HEADER   := $(ROOT)/include/genesys_ws_auth.h
WRAPPER  := $(ROOT)/include/genesys_ws_auth.hpp
RECIPES  := $(ROOT)/examples/install
# What is made on the way, and the tree as it will lie in the prefix.
PARTS    := $(BUILD)/install/$(PROFILE)
STAGE    := $(PARTS)/stage
ARCHIVE  := $(TARGET)/$(PROFILE)/libgenesys_ws_auth.a
NATIVES  := $(TARGET)/$(PROFILE)/genesys_ws_auth.native-static-libs
MANIFEST := share/genesys-ws-auth/manifest

number   = $(shell sed -n 's/^.define GWA_VERSION_$(1) \([0-9]*\)$$/\1/p' $(HEADER))
MAJOR   := $(call number,MAJOR)
VERSION := $(MAJOR).$(call number,MINOR).$(call number,PATCH)
# The number of the ABI, which changes when an installed program could break. Below 1.0 that may happen with a minor version
# too: it is then part of the symbols' version, so that the dynamic linker refuses as gwa_check_abi() does.
ABI     := $(MAJOR)
NODE    := GWA_$(if $(filter 0,$(MAJOR)),0.$(call number,MINOR),$(MAJOR))
SHARED  := libgenesys_ws_auth.so.$(VERSION)
SONAME  := libgenesys_ws_auth.so.$(ABI)

.PHONY: archive package install uninstall sizes

# One crate type, so that Cargo applies link-time optimisation: with several it does not.
archive:
	cd $(ROOT) && $(CARGO) rustc --profile $(PROFILE) --package genesys-ws-auth --lib --crate-type staticlib -- \
	    --print native-static-libs=$(NATIVES)

# Cargo knows when these are up to date.
$(ARCHIVE) $(NATIVES): archive ;

$(PARTS)/symbols: $(HEADER) $(RECIPES)/symbols.awk
	mkdir -p $(PARTS)
	awk -f $(RECIPES)/symbols.awk $(HEADER) >$@

$(PARTS)/symbols.map: $(HEADER) $(RECIPES)/symbols.awk
	mkdir -p $(PARTS)
	awk -v node=$(NODE) -f $(RECIPES)/symbols.awk $(HEADER) >$@

# Groups are dissolved because their names stay shared between libraries when all else in them is local: the linker would
# take the other library's personality routine for ours. lld links this too, but what it makes cannot unwind; gold fails.
$(PARTS)/genesys_ws_auth.o: $(ARCHIVE) $(PARTS)/symbols $(RECIPES)/install.mk
	@$(LD) --version | grep -q 'GNU ld' || { echo '$(LD) is not GNU ld: say LD=ld.bfd, or where it is'; exit 1; }
	$(LD) -r --gc-sections --force-group-allocation --strip-debug \
	    $$(sed 's/^/-u /' $(PARTS)/symbols) $(ARCHIVE) -o $(PARTS)/linked.o
	$(OBJCOPY) --keep-global-symbols=$(PARTS)/symbols --remove-section=.llvmbc --remove-section=.llvmcmd \
	    $(PARTS)/linked.o $@
	$(NM) -g --defined-only $@ | sed 's/.* //' | sort >$(PARTS)/exported
	sort $(PARTS)/symbols | cmp - $(PARTS)/exported
	rm $(PARTS)/linked.o

# The native libraries without those that every compiler adds by itself, as the way of linking wants them: -lgcc_s is not
# to be had for -static.
$(PARTS)/natives: $(NATIVES)
	mkdir -p $(PARTS)
	tr -s ' ' '\n' <$(NATIVES) | grep -v -x -e '' -e -lgcc_s -e -lc >$@ || true

package: $(PARTS)/genesys_ws_auth.o $(PARTS)/symbols.map $(PARTS)/natives
	rm -rf $(STAGE)
	mkdir -p $(STAGE)/include $(STAGE)/$(LIBDIR)/pkgconfig $(STAGE)/$(LIBDIR)/cmake/GenesysWsAuth \
	    $(STAGE)/share/doc/genesys-ws-auth
	cp $(HEADER) $(WRAPPER) $(STAGE)/include
	$(AR) crsD $(STAGE)/$(LIBDIR)/libgenesys_ws_auth.a $(PARTS)/genesys_ws_auth.o
	$(CC) -shared $(PARTS)/genesys_ws_auth.o -o $(STAGE)/$(LIBDIR)/$(SHARED) -Wl,-soname,$(SONAME) \
	    -Wl,--version-script=$(PARTS)/symbols.map -Wl,--no-undefined -Wl,--gc-sections -Wl,--as-needed \
	    -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now $(LDFLAGS) $$(cat $(PARTS)/natives)
	ln -s $(SHARED) $(STAGE)/$(LIBDIR)/$(SONAME)
	ln -s $(SONAME) $(STAGE)/$(LIBDIR)/libgenesys_ws_auth.so
	cp $(ROOT)/LICENSE-MIT $(ROOT)/LICENSE-APACHE $(ROOT)/README.md $(ROOT)/CHANGELOG.md $(STAGE)/share/doc/genesys-ws-auth
	$(call fill,genesys-ws-auth.pc,pkgconfig)
	$(call fill,genesys-ws-auth-static.pc,pkgconfig)
	$(call fill,GenesysWsAuthConfig.cmake,cmake/GenesysWsAuth)
	$(call fill,GenesysWsAuthConfigVersion.cmake,cmake/GenesysWsAuth)

# The way up from a directory to the prefix.
up = $(shell echo $(1) | sed 's,[^/][^/]*,..,g')
define fill
	sed -e 's,@VERSION@,$(VERSION),g' -e 's,@ABI@,$(ABI),g' -e 's,@LIBDIR@,$(LIBDIR),g' \
	    -e 's,@PC_UP@,$(call up,$(LIBDIR)/pkgconfig),' -e 's,@CMAKE_UP@,$(call up,$(LIBDIR)/cmake/GenesysWsAuth),' \
	    -e "s,@NATIVE@,$$(paste -s -d ' ' $(PARTS)/natives)," \
	    -e "s,@NATIVE_LIST@,$$(sed 's/^-l//' $(PARTS)/natives | paste -s -d ';' -)," \
	    $(RECIPES)/$(1).in >$(STAGE)/$(LIBDIR)/$(2)/$(1)
endef

# Make has changed the directory: a relative path would not be where it was meant to be.
INTO = $(if $(filter /%,$(DESTDIR)$(PREFIX)),$(DESTDIR)$(PREFIX),$(error say the whole path: $(DESTDIR)$(PREFIX)))

install: package
	sh $(RECIPES)/copy.sh $(STAGE) "$(INTO)" $(MANIFEST)

uninstall:
	sh $(RECIPES)/remove.sh "$(INTO)" $(MANIFEST)

sizes:
	$(MAKE) package PROFILE=release
	$(MAKE) package PROFILE=small
	@CC='$(CC)' sh $(RECIPES)/sizes.sh $(ROOT) $(BUILD) $(TARGET)
