# One INTERFACE target that every target of ours links: language level, warnings, hardening.
include(CheckCCompilerFlag)

add_library(project_options INTERFACE)
target_compile_features(project_options INTERFACE c_std_17)
target_compile_definitions(project_options INTERFACE _GNU_SOURCE)

set(NZBFS_WARNINGS
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
  -Wmissing-prototypes -Wmissing-variable-declarations -Wold-style-definition -Wpointer-arith
  -Wcast-align -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough
  -Wnull-dereference -Wlogical-op -Wduplicated-cond -Wduplicated-branches
  -Werror=implicit-function-declaration -Werror=incompatible-pointer-types -Werror=return-type
  -fno-common -fstack-protector-strong)
if(NZBFS_SANITIZE)
  # Instrumented code makes gcc see null paths that are not there.
  list(REMOVE_ITEM NZBFS_WARNINGS -Wnull-dereference)
endif()
foreach(flag IN LISTS NZBFS_WARNINGS)
  string(MAKE_C_IDENTIFIER "HAVE${flag}" var)
  check_c_compiler_flag(${flag} ${var})
  if(${var})
    target_compile_options(project_options INTERFACE ${flag})
  endif()
endforeach()
if(WERROR)
  target_compile_options(project_options INTERFACE -Werror)
endif()

if(NZBFS_FUZZ)
  # Coverage of the libraries too, not only of the target's own file.
  target_compile_options(project_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(NZBFS_SANITIZE)
  target_compile_options(project_options INTERFACE -fsanitize=${NZBFS_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(project_options INTERFACE -fsanitize=${NZBFS_SANITIZE})
endif()
target_compile_options(project_options INTERFACE
  "$<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2;-fstack-clash-protection;-fPIE>")
target_link_options(project_options INTERFACE
  "$<$<CONFIG:Release,RelWithDebInfo>:-pie;-Wl,-z,relro,-z,now>")
