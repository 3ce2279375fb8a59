#!/usr/bin/env bash
# Stand-in for nvidia-smi: answers for the node's GPU type and count.
# shellcheck source=/dev/null
. "${SANDBOX_NODE:-/usr/local/etc/node.sh}"
if [[ -n $NODE_GPU_ERROR ]]; then
  printf '%s\n' "$NODE_GPU_ERROR"
  exit 9
fi
if ((NODE_GPU_COUNT == 0)); then
  echo 'No devices were found'
  exit 6
fi

serial=${NODE_INSTANCE_ID#i-}
bus_ids=(53 64 75 86 97 A8 B9 CA)
uuid() { printf 'GPU-%s-%04d-4000-8000-%012d' "${serial:0:8}" "$1" "$1"; }
bus() { printf '00000000:%s:00.0' "${bus_ids[$1]}"; }

field() { # index, name
  case $2 in
    index) echo "$1" ;;
    name | gpu_name) echo "$NODE_GPU_PRODUCT" ;;
    uuid | gpu_uuid) uuid "$1" ;;
    serial | gpu_serial) printf '16530%08d' "$1" ;;
    pci.bus_id | gpu_bus_id) bus "$1" ;;
    driver_version) echo "$NODE_GPU_DRIVER" ;;
    count) echo "$NODE_GPU_COUNT" ;;
    memory.total) echo "$NODE_GPU_MEMORY$mib" ;;
    memory.used) echo "0$mib" ;;
    memory.free) echo "$NODE_GPU_MEMORY$mib" ;;
    temperature.gpu) echo $((30 + $1)) ;;
    utilization.gpu | utilization.memory) echo "0$percent" ;;
    power.draw) echo "71.25$watt" ;;
    pstate) echo P0 ;;
    ecc.errors.*) echo 0 ;;
    timestamp) date '+%Y/%m/%d %H:%M:%S.000' ;;
    *) echo '[N/A]' ;;
  esac
}

query() { # field list, format
  local names=() name index row mib=' MiB' percent=' %' watt=' W'
  IFS=', ' read -ra names <<<"$1"
  [[ $2 != *nounits* ]] || mib='' percent='' watt=''
  [[ $2 == *noheader* ]] || (
    IFS=,
    echo "${names[*]//,/, }"
  )
  for ((index = 0; index < NODE_GPU_COUNT; index++)); do
    row=''
    for name in "${names[@]}"; do
      row+="${row:+, }$(field "$index" "$name")"
    done
    echo "$row"
  done
}

full() {
  local index
  printf '\n==============NVSMI LOG==============\n\nTimestamp                                 : %s\n' "$(date)"
  printf 'Driver Version                            : %s\nCUDA Version                              : 13.0\n\n' "$NODE_GPU_DRIVER"
  printf 'Attached GPUs                             : %s\n' "$NODE_GPU_COUNT"
  for ((index = 0; index < NODE_GPU_COUNT; index++)); do
    printf 'GPU %s\n    Product Name                          : %s\n' "$(bus "$index")" "$NODE_GPU_PRODUCT"
    printf '    GPU UUID                              : %s\n' "$(uuid "$index")"
    printf '    ECC Errors\n        Volatile\n            DRAM Uncorrectable            : 0\n'
    printf '    Remapped Rows\n        Remapping Failure Occurred        : No\n\n'
  done
}

table() {
  local index line='+-----------------------------------------------------------------------------------------+'
  date
  printf '%s\n| NVIDIA-SMI %-17s Driver Version: %-17s CUDA Version: 13.0     |\n%s\n' "$line" "$NODE_GPU_DRIVER" "$NODE_GPU_DRIVER" "$line"
  for ((index = 0; index < NODE_GPU_COUNT; index++)); do
    printf '| %3d  %-34s On  | %s Off |                    0 |\n' "$index" "$NODE_GPU_PRODUCT" "$(bus "$index")"
    printf '| N/A   %2dC    P0             71W /  700W |       0MiB / %6dMiB |      0%%      Default |\n%s\n' $((30 + index)) "$NODE_GPU_MEMORY" "$line"
  done
}

format=csv fields='' mode=table
for argument; do
  case $argument in
    -L | --list-gpus) mode=list ;;
    -q | --query) mode=full ;;
    --query-gpu=*) mode=query fields=${argument#*=} ;;
    --format=*) format=${argument#*=} ;;
    nvlink | topo) mode=$argument ;;
  esac
done
case $mode in
  list)
    for ((index = 0; index < NODE_GPU_COUNT; index++)); do
      printf 'GPU %d: %s (UUID: %s)\n' "$index" "$NODE_GPU_PRODUCT" "$(uuid "$index")"
    done
    ;;
  full) full ;;
  query) query "$fields" "$format" ;;
  nvlink)
    for ((index = 0; index < NODE_GPU_COUNT; index++)); do
      printf 'GPU %d: %s (UUID: %s)\n' "$index" "$NODE_GPU_PRODUCT" "$(uuid "$index")"
      for link in {0..17}; do printf '\t Link %d: 26.562 GB/s\n' "$link"; done
    done
    ;;
  topo) printf '\tGPU0\tCPU Affinity\tNUMA Affinity\nGPU0\t X \t0-47\t0\n' ;;
  *) table ;;
esac
