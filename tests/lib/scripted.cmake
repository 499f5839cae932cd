add_library(scripted_source STATIC scripted_article.c scripted_source.c fault_source.c)
target_include_directories(scripted_source PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(scripted_source PUBLIC base PRIVATE project_options)
