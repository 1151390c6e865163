from pathlib import Path

import pytest

from vigil.accuracy.mot import MotBox, UnreadableBoxes, read_boxes


def test_columns_that_are_left_out_have_their_meaning(tmp_path: Path) -> None:
    path = tmp_path / "clip.mot.txt"
    path.write_text(
        "\ufeff1,7,10,20,30,40\r\n\r\n2,8,1,2,3,4,0,3,0.5\r\n3,9,1,2,3,4,1,-1,-1,-1\r\n"
    )
    whole = {"left": 1.0, "top": 2.0, "width": 3.0, "height": 4.0}
    assert read_boxes(path) == [
        MotBox(1, 7, 10.0, 20.0, 30.0, 40.0, counts=True, kind=-1, visible=1.0),
        MotBox(2, 8, **whole, counts=False, kind=3, visible=0.5),
        MotBox(3, 9, **whole, counts=True, kind=-1, visible=1.0),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "labels nothing"),
        (b"frame,id,x,y,w,h\n", ":1: could not convert"),
        (b"1,1,0,0,5,5\n2,1,0,0\n", ":2: expected numbers"),
        (b"1,1,nan,0,5,5\n", ":1: expected numbers"),
        (b"0,1,0,0,5,5\n", "count from 1"),
        (b"1,1,0,0,-5,5\n", "wider and higher than 0"),
        (b"\x88\xff\x00", "expected frame,id,left,top,width,height"),
    ],
)
def test_what_says_nothing_is_refused_with_its_line(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "clip.mot.txt"
    path.write_bytes(content)
    with pytest.raises(UnreadableBoxes) as caught:
        read_boxes(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableBoxes, match=r"none\.txt"):
        read_boxes(tmp_path / "none.txt")
