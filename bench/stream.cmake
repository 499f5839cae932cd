add_executable(bench_stream stream.c scene.c child.c floor_client.c floor_fuse.c)
target_include_directories(bench_stream PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(bench_stream PRIVATE yenc nzb OpenSSL::SSL PkgConfig::FUSE3 Threads::Threads project_options)
