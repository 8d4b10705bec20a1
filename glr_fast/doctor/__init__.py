"""``glr-doctor``: what works on this machine, what does not, and what to change.

Each check runs one thing for real (a photo decoded by DALI, a file read back from the disk) and
answers with a ``Finding``; a missing package or a crash inside a check is a finding too.
"""

from glr_fast.doctor.findings import Finding
from glr_fast.doctor.run import examine

__all__ = ["Finding", "examine"]
