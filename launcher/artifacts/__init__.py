"""The files that a run leaves behind: listed, copied out of its store, and removed.

::

    listing    what the store holds, page by page
    selecting  which of it was asked for
    paths      where in the local folder an object goes, and that it cannot leave it
    fetching   one object: left alone, resumed or copied, compared by crc32c, renamed
    crew       threads that take objects from a bounded queue
    download   all of them together
    deleting   a whole run's files removed

The client library's `transfer_manager` took 5.7 times as long (5.2 to 6.2; five rounds of 1,000 objects of
1 MB on two cores, November 2026: `make bench`), and resumes nothing.
"""

from launcher.artifacts.deleting import Removed, delete_files
from launcher.artifacts.download import Download, download_files
from launcher.artifacts.listing import Artifact, list_files

__all__ = ["Artifact", "Download", "Removed", "delete_files", "download_files", "list_files"]
