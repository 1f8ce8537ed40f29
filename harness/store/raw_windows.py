"""The samples of a power window, as a Parquet file in the folder of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.store.journal import write_error

if TYPE_CHECKING:
    from pathlib import Path

    from harness.power.base import Chunk, MonitorInfo

FOLDER = "power"


class RawWindow:
    """A file that grows while the monitor streams. One row per sample, at an even rate.

    Columns: current_a, voltage_v (float32), logic (the inputs, bit 0 is D0) and lost (True where no sample came and
    the current stands between its neighbours). Its metadata says rate, source, monitor and which input is the sync pin.

    Attributes:
        name: path within the run's folder.
    """

    def __init__(self, run: Path, stem: str, info: MonitorInfo, sync_input: int) -> None:
        self.name = f"{FOLDER}/{stem}.parquet"
        self._path = run / self.name
        about = {
            "hil.sample_rate_hz": f"{info.sample_rate_hz:g}",
            "hil.power_source": info.source,
            "hil.power_monitor": info.name,
            "hil.sync_input": str(sync_input),
        }
        self._schema = pa.schema(
            [("current_a", pa.float32()), ("voltage_v", pa.float32()), ("logic", pa.uint8()), ("lost", pa.bool_())],
            metadata=about,
        )
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._writer: Any = pq.ParquetWriter(self._path, self._schema, compression="zstd")
        except OSError as error:
            raise write_error(self._path, error, run) from error
        self._run = run

    def write(self, chunk: Chunk) -> None:
        """Add samples.

        Raises:
            StoreError: the disk is full.
        """
        voltage = np.broadcast_to(np.asarray(chunk.voltage_v, np.float32), len(chunk))
        columns = [chunk.current_a.astype(np.float32), voltage, chunk.logic, chunk.lost]
        arrays = [pa.array(np.ascontiguousarray(column)) for column in columns]
        try:
            self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        except OSError as error:
            raise write_error(self._path, error, self._run) from error

    def close(self) -> None:
        """Finish the file.

        Raises:
            StoreError: the disk is full.
        """
        try:
            self._writer.close()
        except OSError as error:
            raise write_error(self._path, error, self._run) from error
