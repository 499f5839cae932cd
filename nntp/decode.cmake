# yEnc, CRC-32 and articles: what turns an answer's bytes into payload. No sockets, so that tests and
# benchmarks can link it alone.
add_library(yenc STATIC yenc.c yenc_choice.c crc32.c article.c article_line.c)
target_include_directories(yenc PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(yenc PUBLIC base PRIVATE PkgConfig::DEFLATE project_options)

# Each kernel with its own instruction sets; yenc_choice.c asks the CPU for every one of them.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  target_sources(yenc PRIVATE yenc_ssse3.c yenc_avx2.c yenc_vbmi2.c crc32_vpclmul.c)
  set(_v2 -mssse3 -mpopcnt)
  set(_v3 ${_v2} -mavx2 -mbmi -mbmi2)
  set_source_files_properties(yenc_ssse3.c PROPERTIES COMPILE_OPTIONS "${_v2}")
  set_source_files_properties(yenc_avx2.c PROPERTIES COMPILE_OPTIONS "${_v3}")
  set_source_files_properties(yenc_vbmi2.c PROPERTIES COMPILE_OPTIONS
    "${_v3};-mavx512f;-mavx512bw;-mavx512vbmi2")
  set_source_files_properties(crc32_vpclmul.c PROPERTIES COMPILE_OPTIONS
    "-mavx512f;-mavx512bw;-mvpclmulqdq;-mpclmul")
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  target_sources(yenc PRIVATE yenc_neon.c)
endif()
