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
def test_what_is_written_is_read_back(folder, content):
    """A file's bytes come back as they were, whatever they are, and the last write counts."""
    uri = storage.join(folder, "deep", "below", "file.bin")

    storage.write_bytes(uri, b"earlier and longer than the first two")
    storage.write_bytes(uri, content)

    assert storage.read_bytes(uri) == content


def test_a_missing_file_is_named(folder):
    """Reading what is not there ends with one line that names it."""
    uri = storage.join(folder, "nothing.json")

    with pytest.raises(DataError, match=r"nothing\.json: ") as error:
        storage.read_bytes(uri)

    assert str(error.value).startswith(uri)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named_when_it_should_be_copied(folder, tmp_path):
    """Copying what is not there fails as reading it does, and leaves no empty copy."""
    with pytest.raises(DataError, match=r"nothing\.keras"):
        storage.copy_to_local(storage.join(folder, "nothing.keras"), tmp_path / "copy")

    assert not (tmp_path / "copy").exists()


def test_a_copy_there_and_back_is_the_file(folder, tmp_path):
    """A local file copied to a URI and from there to another local file is the same."""
    (tmp_path / "a").write_bytes(b"weights")

    storage.copy_from_local(tmp_path / "a", storage.join(folder, "model.keras"))
    copied = storage.copy_to_local(storage.join(folder, "model.keras"), tmp_path / "b")

    assert copied == tmp_path / "b"
    assert copied.read_bytes() == b"weights"


def test_a_folder_lists_its_own_files_by_name(folder):
    """Files directly in the folder are listed in order with their sizes; those below, or beside it, are not."""
    for name, content in {"b.ply": b"22", "a.ply": b"1", "Z": b"", "deep/c.ply": b"333"}.items():
        storage.write_bytes(storage.join(folder, name), content)
    storage.write_bytes(f"{folder}-beside/d.ply", b"4444")

    entries = storage.list_files(folder)

    assert [(entry.name, entry.size) for entry in entries] == [("Z", 0), ("a.ply", 1), ("b.ply", 2)]
    assert storage.list_files(f"{folder}/") == entries


def test_a_missing_folder_is_empty(folder):
    """There is nothing in a folder that is not there."""
    assert storage.list_files(storage.join(folder, "nowhere")) == []


def test_dotted_names_are_not_listed(folder):
    """A name that begins with a dot is a write that never ended, and no file."""
    storage.write_bytes(storage.join(folder, ".a.ply.x1"), b"half")
    storage.write_bytes(storage.join(folder, "a.ply"), b"whole")

    assert [entry.name for entry in storage.list_files(folder)] == ["a.ply"]


def test_a_tag_changes_with_the_content(folder):
    """Two listings without a write between them agree; after a write the tag is another."""
    uri = storage.join(folder, "a.ply")
    storage.write_bytes(uri, b"one")
    first, again = storage.list_files(folder), storage.list_files(folder)
    storage.write_bytes(uri, b"two")

    assert first == again
    assert first[0].tag != storage.list_files(folder)[0].tag


def test_exists_and_delete_can_be_repeated(folder):
    """A file exists from its writing to its deletion, and deleting it again does nothing."""
    uri = storage.join(folder, "a.json")
    seen = [storage.exists(uri)]
    for change in (functools.partial(storage.write_bytes, uri, b"{}"), functools.partial(storage.delete, uri)):
        change()
        change()
        seen.append(storage.exists(uri))

    assert seen == [False, True, False]


def test_a_swap_needs_the_file_that_was_read(folder):
    """A file is replaced only while it is the one expected; nobody's write is lost unseen."""
    uri = storage.join(folder, "manifest.json")
    storage.swap_bytes(uri, b"first", None)
    first = storage.tag(uri)
    with pytest.raises(ConflictError, match="by somebody else"):
        storage.swap_bytes(uri, b"late", None)
    storage.swap_bytes(uri, b"second", first)
    with pytest.raises(ConflictError, match="by somebody else"):
        storage.swap_bytes(uri, b"late", first)

    assert storage.read_bytes(uri) == b"second"


def test_of_many_swaps_at_once_one_wins(folder):
    """Eight writers that all expect no file: one of them wrote it, and the others know that they did not."""
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


def test_a_longer_name_is_another_file(folder):
    """Neither a file whose name goes on nor a folder of the name makes the name exist."""
    storage.write_bytes(storage.join(folder, "manifest.json.old"), b"")
    storage.write_bytes(storage.join(folder, "shard", "a"), b"")

    assert not storage.exists(storage.join(folder, "manifest.json"))
    assert not storage.exists(storage.join(folder, "shard"))


def test_arrow_reads_what_was_written(folder):
    """pyarrow finds a file by the same URI and with the same settings."""
    uri = storage.join(folder, "table.parquet")
    table, file = pa.table({"x": [1, 2, 3]}), pa.BufferOutputStream()
    pq.write_table(table, file)
    storage.write_bytes(uri, file.getvalue().to_pybytes())

    filesystem, path = storage.arrow_filesystem(uri)

    assert pq.read_table(path, filesystem=filesystem) == table


def test_a_reader_never_sees_half_a_file(tmp_path):
    """While a file is written over and over, every read gives one whole version, never older than the last read."""
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


def test_listing_bears_files_that_come_and_go(tmp_path):
    """A folder can be listed while another process writes into it."""
    uri = str(tmp_path / "file")
    storage.write_bytes(uri, b"0")
    writer = threading.Thread(target=lambda: [storage.write_bytes(uri, b"%d" % i) for i in range(300)])

    writer.start()
    seen = []
    while writer.is_alive():
        seen.append([entry.name for entry in storage.list_files(str(tmp_path))])
    writer.join()

    assert all(names == ["file"] for names in seen)


def test_a_failed_write_leaves_the_folder_as_it_was(tmp_path):
    """If the content cannot be written, the earlier file stays, and no part of the new one."""
    uri = str(tmp_path / "file")
    storage.write_bytes(uri, b"earlier")

    with pytest.raises(TypeError):
        storage.write_bytes(uri, "text, not bytes")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert storage.read_bytes(uri) == b"earlier"


def test_a_write_that_cannot_take_its_place_is_named(tmp_path):
    """A folder of the same name is an error of one line, and no part of the file is left."""
    (tmp_path / "taken").mkdir()

    with pytest.raises(DataError, match="taken: cannot be written"):
        storage.write_bytes(str(tmp_path / "taken"), b"content")

    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    """A path through a file is an error of one line that names the whole path."""
    (tmp_path / "file").touch()

    with pytest.raises(DataError, match=r"file/below: cannot be written"):
        storage.write_bytes(str(tmp_path / "file" / "below"), b"content")


def test_others_may_read_what_is_written(tmp_path):
    """Temporary files are private to their owner; what takes its place is not."""
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
    """A trailing slash of the folder changes nothing."""
    assert storage.join(uri, *names) == expected


def test_absolute_uris_are_the_same_from_everywhere(tmp_path, monkeypatch):
    """A relative path becomes absolute once; S3 URIs stay, without a trailing slash."""
    monkeypatch.chdir(tmp_path)

    assert storage.absolute("run") == str(tmp_path / "run") == storage.absolute(storage.absolute("run"))
    assert storage.absolute("s3://bucket/run/") == "s3://bucket/run"


def test_a_bucket_itself_is_a_folder(in_bucket):
    """Files at the top of a bucket are found by their whole names."""
    storage.write_bytes(f"{in_bucket}/dataset.json", b"{}")

    assert storage.exists(f"{in_bucket}/dataset.json")
    assert "dataset.json" in [entry.name for entry in storage.list_files(in_bucket)]


def test_more_files_than_one_page_of_a_listing(in_bucket, page_of_a_listing):
    """A store lists names page by page; all pages are read."""
    names = [f"{i:02}" for i in range(2 * page_of_a_listing + 1)]
    for name in names:
        storage.write_bytes(f"{in_bucket}/many/{name}", b"")

    assert [entry.name for entry in storage.list_files(f"{in_bucket}/many")] == names


def test_a_folder_marker_is_no_file(in_bucket):
    """Consoles make "folders" as empty objects whose key ends with a slash."""
    s3.client().put_object(Bucket="bucket", Key="marked/", Body=b"")

    assert storage.list_files(f"{in_bucket}/marked") == []


@pytest.mark.usefixtures("in_bucket")
def test_a_missing_bucket_is_one_line():
    """Every call on a bucket that is not there names the URI."""
    uri = "s3://no-such-bucket/run/file"
    for call in (storage.read_bytes, storage.list_files, storage.exists, lambda uri: storage.write_bytes(uri, b"")):
        with pytest.raises(DataError, match=r"s3://no-such-bucket/run.*bucket does not exist"):
            call(uri)


def test_an_endpoint_that_is_no_url_is_one_line(monkeypatch):
    """A misspelt AWS_ENDPOINT_URL is a user's error."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "no url")
    s3.client.cache_clear()

    with pytest.raises(DataError, match=r"s3://bucket/file: .*no url"):
        storage.read_bytes("s3://bucket/file")


def test_a_large_file_goes_in_parts(in_bucket):
    """The store says so in its tag, and the file is whole."""
    content = bytes(s3.MULTIPART_BYTES + 1000)
    storage.write_bytes(f"{in_bucket}/large/file", content)
    (entry,) = storage.list_files(f"{in_bucket}/large")

    assert entry.size == len(content)
    assert entry.tag.strip('"').endswith("-2")
    assert storage.read_bytes(f"{in_bucket}/large/file") == content
