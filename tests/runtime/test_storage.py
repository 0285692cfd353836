import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurelib.errors import ConflictError, DataError
from featurelib.runtime import s3, storage


@pytest.mark.parametrize("content", [b"", b"text", bytes(range(256)) * 4096])
def test_written_content_is_read_back(folder, content):
    """Any bytes are read back unchanged; the last write wins."""
    uri = storage.join(folder, "deep", "below", "file.bin")

    storage.write_bytes(uri, b"earlier and longer than the first two")
    storage.write_bytes(uri, content)

    assert storage.read_bytes(uri) == content


def test_reading_a_missing_file_names_it(folder):
    """The error is one line that starts with the URI."""
    uri = storage.join(folder, "nothing.json")

    with pytest.raises(DataError, match=r"nothing\.json: ") as error:
        storage.read_bytes(uri)

    assert str(error.value).startswith(uri)
    assert "\n" not in str(error.value)


def test_a_listing_has_the_files_of_one_folder_by_name(folder):
    """Files directly in the folder are listed in order with their sizes; subfolders and other folders are not."""
    for name, content in {"b.ply": b"22", "a.ply": b"1", "Z": b"", "deep/c.ply": b"333"}.items():
        storage.write_bytes(storage.join(folder, name), content)
    storage.write_bytes(f"{folder}-beside/d.ply", b"4444")

    entries = storage.list_files(folder)

    assert [(entry.name, entry.size) for entry in entries] == [("Z", 0), ("a.ply", 1), ("b.ply", 2)]
    assert storage.list_files(f"{folder}/") == entries


def test_a_missing_folder_is_empty(folder):
    """Listing a folder that does not exist returns no files."""
    assert storage.list_files(storage.join(folder, "nowhere")) == []


def test_dotted_names_are_not_listed(folder):
    """A name that begins with a dot is an unfinished write."""
    storage.write_bytes(storage.join(folder, ".a.ply.x1"), b"half")
    storage.write_bytes(storage.join(folder, "a.ply"), b"whole")

    assert [entry.name for entry in storage.list_files(folder)] == ["a.ply"]


def test_a_tag_changes_with_the_content(folder):
    """Two listings without a write between them are equal; a write changes the tag."""
    uri = storage.join(folder, "a.ply")
    storage.write_bytes(uri, b"one")
    first, again = storage.list_files(folder), storage.list_files(folder)
    storage.write_bytes(uri, b"two")

    assert first == again
    assert first[0].tag != storage.list_files(folder)[0].tag


def test_exists_and_delete_can_be_repeated(folder):
    """A file exists from its first write to its deletion; repeating either has no effect."""
    uri = storage.join(folder, "a.json")
    seen = [storage.exists(uri)]
    for change in (functools.partial(storage.write_bytes, uri, b"{}"), functools.partial(storage.delete, uri)):
        change()
        change()
        seen.append(storage.exists(uri))

    assert seen == [False, True, False]


def test_a_swap_requires_the_expected_file(folder):
    """A file is replaced only if it still has the expected tag."""
    uri = storage.join(folder, "manifest.json")
    storage.swap_bytes(uri, b"first", None)
    first = storage.tag(uri)
    with pytest.raises(ConflictError, match="by another writer"):
        storage.swap_bytes(uri, b"late", None)
    storage.swap_bytes(uri, b"second", first)
    with pytest.raises(ConflictError, match="by another writer"):
        storage.swap_bytes(uri, b"late", first)

    assert storage.read_bytes(uri) == b"second"


def test_one_of_many_concurrent_swaps_succeeds(folder):
    """Of eight writers that expect no file, one writes it and the others get a ConflictError."""
    uri = storage.join(folder, "race.json")

    def swap(i: int) -> bool:
        try:
            storage.swap_bytes(uri, str(i).encode(), None)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(swap, range(8)))

    assert won.count(True) == 1
    assert int(storage.read_bytes(uri)) == won.index(True)


def test_a_prefix_of_a_name_does_not_exist(folder):
    """Neither a longer file name nor a folder of this name makes a file exist."""
    storage.write_bytes(storage.join(folder, "manifest.json.old"), b"")
    storage.write_bytes(storage.join(folder, "shard", "a"), b"")

    assert not storage.exists(storage.join(folder, "manifest.json"))
    assert not storage.exists(storage.join(folder, "shard"))


def test_pyarrow_reads_written_files(folder):
    """pyarrow opens a file by the same URI and settings."""
    uri = storage.join(folder, "table.parquet")
    table, file = pa.table({"x": [1, 2, 3]}), pa.BufferOutputStream()
    pq.write_table(table, file)
    storage.write_bytes(uri, file.getvalue().to_pybytes())

    filesystem, path = storage.arrow_filesystem(uri)

    assert pq.read_table(path, filesystem=filesystem) == table


def test_reads_are_atomic(tmp_path):
    """While a file is rewritten, each read returns one complete version, never older than the previous read."""
    uri = str(tmp_path / "file")
    versions = [bytes([i]) * 300_000 for i in range(40)]
    storage.write_bytes(uri, versions[0])
    writer = threading.Thread(target=lambda: [storage.write_bytes(uri, version) for version in versions])

    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(storage.read_bytes(uri))
    writer.join()

    assert set(seen) <= set(versions)
    assert all(earlier[0] <= later[0] for earlier, later in pairwise(seen))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_can_be_listed_during_writes(tmp_path):
    """Each listing contains the file and no temporary name."""
    uri = str(tmp_path / "file")
    storage.write_bytes(uri, b"0")
    writer = threading.Thread(target=lambda: [storage.write_bytes(uri, b"%d" % i) for i in range(300)])

    writer.start()
    seen = []
    while writer.is_alive():
        seen.append([entry.name for entry in storage.list_files(str(tmp_path))])
    writer.join()

    assert all(names == ["file"] for names in seen)


def test_a_failed_write_keeps_the_old_file(tmp_path):
    """No part of the new content remains."""
    uri = str(tmp_path / "file")
    storage.write_bytes(uri, b"earlier")

    with pytest.raises(TypeError):
        storage.write_bytes(uri, "text, not bytes")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert storage.read_bytes(uri) == b"earlier"


@pytest.mark.parametrize("name", ["folder", "file/below"])
def test_a_write_to_an_impossible_path_is_one_line(tmp_path, name):
    """The path is a folder, or it leads through a file; no part of the content remains."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()

    with pytest.raises(DataError, match=f"{name}: cannot be written"):
        storage.write_bytes(str(tmp_path / name), b"content")

    assert {path.name for path in tmp_path.iterdir()} == {"folder", "file"}


def test_written_files_are_readable_by_all(tmp_path):
    """A temporary file is private to its owner, but not the final file."""
    storage.write_bytes(str(tmp_path / "file"), b"")

    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("uri", "names", "expected"),
    [
        ("s3://bucket/run", ["renders", "a"], "s3://bucket/run/renders/a"),
        ("s3://bucket/", ["a"], "s3://bucket/a"),
        ("run/", ["a"], "run/a"),
        ("/", ["a"], "/a"),
    ],
)
def test_join_puts_one_slash_between_names(uri, names, expected):
    """A trailing slash of the folder has no effect."""
    assert storage.join(uri, *names) == expected


def test_absolute_uris_do_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    """A relative path becomes absolute; an S3 URI only loses its trailing slash."""
    monkeypatch.chdir(tmp_path)

    assert storage.absolute("run") == str(tmp_path / "run") == storage.absolute(storage.absolute("run"))
    assert storage.absolute("s3://bucket/run/") == "s3://bucket/run"


def test_a_bucket_is_a_folder(in_bucket):
    """Files at the top of a bucket are found by their names."""
    storage.write_bytes(f"{in_bucket}/dataset.json", b"{}")

    assert storage.exists(f"{in_bucket}/dataset.json")
    assert "dataset.json" in [entry.name for entry in storage.list_files(in_bucket)]


def test_a_listing_has_all_pages(in_bucket, page_of_a_listing):
    """A store lists names in pages; all are read."""
    names = [f"{i:02}" for i in range(2 * page_of_a_listing + 1)]
    for name in names:
        storage.write_bytes(f"{in_bucket}/many/{name}", b"")

    assert [entry.name for entry in storage.list_files(f"{in_bucket}/many")] == names


def test_a_folder_marker_is_not_a_file(in_bucket):
    """Consoles create a folder as an empty object whose key ends with a slash."""
    s3.client().put_object(Bucket="bucket", Key="marked/", Body=b"")

    assert storage.list_files(f"{in_bucket}/marked") == []


@pytest.mark.usefixtures("in_bucket")
def test_a_missing_bucket_is_one_line():
    """Every call on a bucket that does not exist names the URI."""
    uri = "s3://no-such-bucket/run/file"
    for call in (storage.read_bytes, storage.list_files, storage.exists, lambda uri: storage.write_bytes(uri, b"")):
        with pytest.raises(DataError, match=r"s3://no-such-bucket/run.*bucket does not exist"):
            call(uri)


def test_an_invalid_endpoint_is_one_line(monkeypatch):
    """A misspelt AWS_ENDPOINT_URL raises a DataError."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "no url")
    s3.client.cache_clear()

    with pytest.raises(DataError, match=r"s3://bucket/file: .*no url"):
        storage.read_bytes("s3://bucket/file")


def test_a_large_file_is_uploaded_in_parts(in_bucket):
    """The tag has the number of parts, and the content is complete."""
    content = bytes(s3.MULTIPART_BYTES + 1000)
    storage.write_bytes(f"{in_bucket}/large/file", content)
    (entry,) = storage.list_files(f"{in_bucket}/large")

    assert entry.size == len(content)
    assert entry.tag.strip('"').endswith("-2")
    assert storage.read_bytes(f"{in_bucket}/large/file") == content
