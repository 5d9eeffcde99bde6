#!/bin/sh
# The job of `reconcile demo`: a training run of a few seconds, and what goes wrong in them. Plain sh and awk.
trap 'kill "$!" 2>/dev/null; printf "slurmstepd: *** JOB CANCELLED ***"; exit 143' TERM # this last line has no end
echo "Model initialized"
epoch=0
while [ "$epoch" -lt 16 ]; do
    epoch=$((epoch + 1))
    for step in 25 50 75 100; do
        printf '\rEpoch %d [%3d%%]' "$epoch" "$step"
        sleep 0.08
    done
    awk -v e="$epoch" 'BEGIN { printf "\nEpoch %d, Loss: %.4f\n", e, 2.3 * exp(-e / 5) + 0.08 * ((e * 37) % 11) / 11 }'
    [ $((epoch % 4)) -ne 0 ] || echo "GPU 0: $((4300 + epoch * 220))MB / 8000MB"
done
cat <<'END'
Traceback (most recent call last):
  File "train.py", line 88, in <module>
    loss.backward()
torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 GiB
END
sleep 60 & # what went wrong often hangs; somebody must cancel it
wait
