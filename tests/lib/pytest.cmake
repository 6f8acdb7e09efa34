# worker_pytest(file LABEL label [NAME name] [TIMEOUT seconds] [LONG] [SERIAL] [WAITS]
# [ENVIRONMENT A=B …]): one file of Python tests, one ctest entry. SERIAL: nothing else runs
# meanwhile (it measures). WAITS: see worker_share().
function(worker_pytest file)
  cmake_parse_arguments(arg "LONG;SERIAL;WAITS" "LABEL;NAME;TIMEOUT" "ENVIRONMENT" ${ARGN})
  if(NOT arg_NAME)
    set(arg_NAME ${file})
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 180)
  endif()
  set(name ${arg_LABEL}/${arg_NAME})
  set(labels ${arg_LABEL})
  if(arg_LONG)
    list(APPEND labels long)
  endif()
  set(environment WORKER_BIN=${CMAKE_BINARY_DIR}/bin PYTHONPATH=${PROJECT_SOURCE_DIR}/tests/lib
      GRAPH_SIMULATOR=${CMAKE_BINARY_DIR}/bin/graph-simulator PYTHONDONTWRITEBYTECODE=1
      ${arg_ENVIRONMENT})
  add_test(NAME ${name}
           COMMAND /usr/bin/python3 -m pytest -q -p no:cacheprovider -p skips
                   ${CMAKE_CURRENT_SOURCE_DIR}/${file}.py)
  set_tests_properties(${name} PROPERTIES
    LABELS "${labels}" TIMEOUT ${arg_TIMEOUT} RUN_SERIAL "${arg_SERIAL}" SKIP_RETURN_CODE 77
    ENVIRONMENT "${environment}")
  worker_share(${name} ${arg_WAITS})
endfunction()
