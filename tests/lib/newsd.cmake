# The news server of the tests, benchmarks and the demo. It uses nothing of nntp/: client and server must
# not share a mistake.
add_library(newsd STATIC newsd.c newsd_cmd.c newsd_conn.c newsd_fault.c newsd_io.c newsd_listen.c
  newsd_rule.c newsd_script.c newsd_tls.c spool.c spool_article.c spool_nzb.c spool_post.c yencode.c)
target_include_directories(newsd PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(newsd PUBLIC base PRIVATE PkgConfig::EVENT OpenSSL::SSL ZLIB::ZLIB project_options)

add_executable(nzbfs-newsd ../newsd.c newsd_options.c)
set_target_properties(nzbfs-newsd PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
target_link_libraries(nzbfs-newsd PRIVATE newsd project_options)

nzbfs_test(lib/spool SOURCES test_spool.c LIBS newsd ZLIB::ZLIB)
foreach(suite newsd newsd_fault newsd_state)
  nzbfs_test(lib/${suite} SOURCES test_${suite}.c test_newsd_client.c LIBS newsd OpenSSL::SSL)
endforeach()
