"""Ready-made patterns behind `preset:`. Data alone: `watcher` gives them to whoever asks for a spec's expressions.

Each pack is one expression that takes the rest of the line with it, so that a line which says it in two ways triggers
once. Wordings are those of SLURM 17 to 25 (slurmstepd and srun write them into a job's stderr, often behind other text,
so nothing is anchored), PyTorch, TensorFlow, JAX, NCCL, the C library, the kernel and some neighbours. They keep to
what re, RE2 and Hyperscan read alike, and look for what is printed when it happens, not for talk about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class PresetPack:
    """One pack. `about` is a sentence for people; `groups` are the names that its captures have."""

    about: str
    patterns: tuple[str, ...]
    groups: tuple[str, ...] = ()


def _one(*wordings: str) -> tuple[str, ...]:
    return (f"(?:{'|'.join(wordings)}).*",)


_CANCELLED = r"\*\*\* (?:JOB|STEP) (?P<step>\S+) (?:ON (?P<node>\S+) )?CANCELLED AT (?P<at>\S+) DUE (?:TO|to) "
_NAN_NAMES = r"(?:loss(?:es)?|grad(?:ient)?[_ ]?norm|perplexity|ppl)\d*(?:[_/.-][\w/.-]*)?"

PRESETS: Mapping[str, PresetPack] = MappingProxyType(
    {
        "oom": PresetPack(
            "memory ran out: the job's limit in SLURM, the kernel, a GPU, an allocator",
            _one(
                r"Detected (?P<kills>\d+) oom[-_]kill events?(?:\(s\))? in (?:StepId=|step )(?P<step>\S+)",
                r"tasks? [\d,-]+: Out Of Memory",
                r"[Ee]xceeded (?:job|step|virtual)? ?memory limit",
                r"[Oo]ut of memory: Kill(?:ed)? process (?P<pid>\d+)",
                r"(?:\btorch(?:\.cuda)?\.OutOfMemoryError: )?\b(?:CUDA|HIP|XPU|NPU) out of memory\. "
                r"Tried to allocate (?P<wanted>[\d.]+ [KMGT]?i?B)",
                r"\b(?:CUDA|HIP|XPU|NPU|MPS backend) out of memory(?:\.| \()",
                r"\btorch(?:\.cuda)?\.OutOfMemoryError\b",
                r"\b(?:CUDA|HIP) error: out of memory",
                r"cuda runtime error \(2\) ?: out of memory",
                r"\bcudaErrorMemoryAllocation\b|\bCUDA_ERROR_OUT_OF_MEMORY\b|\bCUBLAS_STATUS_ALLOC_FAILED\b",
                r"\bOOM when allocating tensor\b",
                r"\bran out of memory trying to allocate [\d.]+[KMGT]?i?B \(rounded to ",
                r"\bUR_RESULT_ERROR_OUT_OF_(?:DEVICE|HOST)_MEMORY\b",
                r"\boom-kill:constraint=|\binvoked oom-killer\b",
                r"\bResourceExhaustedError\b",
                r"\bRESOURCE_EXHAUSTED: .*(?:[Oo]ut of memory|[Ff]ailed to allocate|[Aa]ttempting to allocate)",
                r"DefaultCPUAllocator: (?:can't allocate|not enough) memory",
                r"\bstd::bad_alloc\b",
                r"(?:^|\]:? ?)(?:[\w.]+\.)?_?(?:Array)?MemoryError\b",
                r"\bjava\.lang\.OutOfMemoryError\b",
                r"\b[Cc]annot allocate (?:memory|vector of size)\b",
                r"killed by signal: Killed",
                r": line \d+: +\d+ Killed\b",
            ),
            ("kills", "step", "pid", "wanted"),
        ),
        "nan": PresetPack(
            "a loss, gradient norm or perplexity became NaN",
            _one(
                rf"""(?i:\b[\w/.-]*{_NAN_NAMES}['"]?\]?(?: *[=:]+ *| +is +|, +| +)(?:tensor\()?[-+]?nan\b)""",
                r"(?i:\bloss (?:is|was|became) (?:infinite or )?(?:nan|inf)\b)",
                r"\bModel diverged with loss = NaN\b",
                r"\bInvalid loss, terminating training\b",
                r"\breturned nan values in its \d+th output",
                r"(?i:\btensor had (?:nan|inf)(?: and (?:nan|inf))? values\b)",
                r"\bNaN or Inf found in input tensor\b",
                r"(?i:\b(?:nan|inf)(?:/inf| or inf)? (?:detected|found|encountered) in (?:the )?(?:loss|grad))",
            ),
        ),
        "nccl": PresetPack(
            "GPUs stopped talking to each other: NCCL errors, warnings and time-outs (RCCL too)",
            _one(
                r"\bnccl(?P<error>UnhandledCudaError|SystemError|InternalError|RemoteError|InvalidUsage|InvalidArgument)\b",
                # Most warnings are advice (iommu, NUMA balancing, a plugin that is not there) and harm nothing.
                r"\bNCCL WARN .*(?:[Ff]ail(?:ed|ure)|\b[Ee]rror|[Tt]imed? ?out|[Aa]bort|[Cc]losed by|[Mm]ismatch|"
                r"[Dd]uplicate GPU|[Uu]nhandled)",
                r"\bNCCL (?:[Ee]rror|failure)\b",
                r"\bWatchdog caught collective operation timeout\b",
                r"\bSome NCCL operations have failed or timed out\b",
                r"\bNCCL communicator (?:was|has been) aborted\b",
                r"\bcollective operation timeout: WorkNCCL\b",
                r"\bProcessGroupNCCL's watchdog got stuck\b|\b[Hh]eartbeat monitor timed out\b",
                r"\bReceived a dump signal due to a collective timeout\b",
                r"\bNCCL(?: operation)? (?:timed out|timeout)\b",
            ),
            ("error",),
        ),
        "time_limit": PresetPack(
            "the scheduler ended the job at its time limit",
            _one(
                _CANCELLED + "TIME LIMIT",
                r"\bPBS: job killed: walltime \d+ exceeded limit \d+",
                r"\bTERM_RUNLIMIT\b",
            ),
            ("step", "node", "at"),
        ),
        "node_fail": PresetPack(
            "a node or a GPU of it went away",
            _one(
                _CANCELLED + "NODE FAILURE",
                r"(?:srun|salloc|sbatch): error: Node failure on (?P<failed>\S+)",
                r"\b(?:ORTE|PRTE) has lost communication with a remote daemon\b",
                r"\bAn (?:ORTE|PRTE) daemon has unexpectedly failed\b",
                r"\bGPU has fallen off the bus\b",
                r"\buncorrectable (?:NVLink|ECC) error\b",
                r"\bUnable to determine the device handle for GPU\b",
            ),
            ("step", "node", "at", "failed"),
        ),
        "traceback": PresetPack(
            "a program ended with an error that nobody caught: Python, C++, Rust, Java, Julia",
            _one(
                r"\bTraceback \(most recent call last\):",
                r"\bterminate called after throwing an instance of '(?P<thrown>[^']+)'",
                r"\bthread '[^']*' (?:\(\d+\) )?panicked at\b",
                r"\bException in thread \"[^\"]*\" (?P<java>[\w.$]+)",
                r"\bERROR: LoadError: ",
            ),
            ("thrown", "java"),
        ),
        "disk_full": PresetPack(
            "a file system or a quota is full",
            _one(
                r"\bNo space left on device\b",
                r"\bDisk quota exceeded\b",
                r"\[Errno (?:28|122)\]",
                r"\b(?:ENOSPC|EDQUOT)[:)]",
                r"\bPytorchStreamWriter failed writing file\b",
            ),
        ),
        "segfault": PresetPack(
            "a process ended by a segmentation fault",
            _one(
                r"\bSegmentation fault\b",
                r"\b(?i:signal):? 11\b",
                r"\(SIGSEGV\)",
                r"\bSIGSEGV, segmentation fault occurred\b",
                r"(?i:\bexit code:? 139\b)",
                r"\bsegfault at [0-9a-f]+ ip\b",
                r"\bexitcode *: -11\b",
            ),
        ),
    }
)
