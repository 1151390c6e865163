"""`vigil explain`: what in a picture, or in a stream's last frame, made a model say so."""

from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from vigil.app import model_name
from vigil.cli.client import address_option, call, connected
from vigil.cli.output import echo_json
from vigil.config import Config
from vigil.data import U8
from vigil.draw.heat import caption, draw_heat
from vigil.errors import UnknownModel
from vigil.host.capture import decode_picture
from vigil.v1 import geometry_pb2, snapshots_pb2
from vigil.v1.snapshots_pb2_grpc import SnapshotServiceStub
from vigil.vision.crop import Box
from vigil.vision.letterbox import Letterbox
from vigil.vision.manifest import Manifest, load_manifest
from vigil.vision.view import View


class BoxType(click.ParamType[Box]):
    """X1,Y1,X2,Y2 as fractions of the picture."""

    name = "x1,y1,x2,y2"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Box:
        """Read one."""
        if isinstance(value, tuple):
            return value
        try:
            x1, y1, x2, y2 = (float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r}: give four numbers, X1,Y1,X2,Y2")
        if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
            self.fail(f"{value!r}: fractions of the picture from 0 to 1, X1 < X2 and Y1 < Y2")
        return x1, y1, x2, y2


@click.command(
    epilog="Example: vigil explain street.jpg --output why.jpg --box 0.2,0.3,0.5,0.8; "
    "vigil explain --stream gate --track 7 --output why.jpg"
)
@click.argument(
    "picture", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False
)
@click.option("--stream", "stream_id", help="The last frame of this stream, instead of a picture.")
@click.option("--track", "track_id", type=click.IntRange(0), help="With --stream: this track.")
@click.option("--box", type=BoxType(), help="The object in this box.")
@click.option("--class", "class_name", default="", help="What speaks for this class.")
@click.option("--classifier", default="", help="Ask this classifier, about the box's crop.")
@click.option("--model", help="The detector of a picture [default: vigil-det-n; -s on CUDA].")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="A .jpg or .png.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Class and score as one JSON object on stdout."
)
@address_option
def explain(
    picture: Path | None,
    stream_id: str | None,
    output: Path,
    address: str,
    as_json: bool,
    **target: Any,
) -> None:
    """Draw what speaks for an object or a class as a heat map (Grad-CAM): red parts most.

    Without --box, --track and --class it is the surest object. PICTURE needs no service.
    """
    if (picture is None) == (stream_id is None):
        raise click.UsageError("give a PICTURE or --stream, one of them")
    if picture is not None:
        if target["track_id"] is not None:
            raise click.UsageError("--track goes with --stream: a picture has no tracks")
        name, score, drawn = _of_picture(picture, **target)
        _, encoded = cv2.imencode(output.suffix or ".jpg", drawn)
        output.write_bytes(encoded.tobytes())
    else:
        assert stream_id is not None
        name, score, jpeg = _of_stream(address, stream_id, **target)
        output.write_bytes(jpeg)
    if as_json:
        echo_json({"class": name, "score": round(score, 4), "output": str(output)})
    else:
        click.echo(f"{name} {score:.2f}: {output}")


def _of_picture(
    path: Path,
    *,
    box: Box | None,
    class_name: str,
    classifier: str,
    model: str | None,
    track_id: int | None,
) -> tuple[str, float, U8]:
    from vigil.vision.explain import ClassifierExplainer, DetectorExplainer  # torch takes a second

    picture = decode_picture(np.frombuffer(path.read_bytes(), np.uint8))
    if picture is None:
        raise click.UsageError(f"{path} is no picture that can be read: give JPEG, PNG or WebP")
    manifest = load_manifest(classifier or model or model_name(Config()))
    wanted = _class_id(class_name, manifest)
    if classifier:
        view = View.of_object(picture, box, side_px=manifest.input_height_px)
        heat = ClassifierExplainer(manifest).explain(view.pixels, class_id=wanted)
    else:
        letterbox = Letterbox.fit(picture.shape[:2], manifest.input_hw, stretch=manifest.stretch)
        view = View.of_picture(picture, letterbox)
        within = None
        if box is not None:
            x1, y1, x2, y2 = letterbox.to_input_px(np.array([box], np.float32))[0].tolist()
            within = (x1, y1, x2, y2)
        heat = DetectorExplainer(manifest).explain(view.pixels, class_id=wanted, xyxy_px=within)
    name = manifest.classes[heat.class_id]
    drawn = draw_heat(picture, view.onto_place(heat.map), place=view.place)
    caption(drawn, f"{name} {heat.score:.2f}", box)
    return name, heat.score, drawn


def _class_id(name: str, manifest: Manifest) -> int | None:
    if name and name not in manifest.classes:
        known = ", ".join(manifest.classes)
        raise UnknownModel(f"{manifest.name!r} knows no class {name!r}; it knows {known}")
    return manifest.classes.index(name) if name else None


def _of_stream(
    address: str,
    stream_id: str,
    *,
    box: Box | None,
    class_name: str,
    classifier: str,
    model: str | None,
    track_id: int | None,
) -> tuple[str, float, bytes]:
    if model is not None:
        raise click.UsageError("--model goes with a picture: a stream has the service's")
    if sum((box is not None, track_id is not None, bool(class_name))) > 1:
        raise click.UsageError("of --box, --track and --class give one with --stream")
    request = snapshots_pb2.ExplainDetectionRequest(stream_id=stream_id, classifier=classifier)
    if box is not None:
        request.bbox.CopyFrom(geometry_pb2.Box(x1=box[0], y1=box[1], x2=box[2], y2=box[3]))
    elif track_id is not None:
        request.track_id = track_id
    elif class_name:
        request.class_name = class_name
    with connected(address) as channel:
        answer = call(SnapshotServiceStub(channel).ExplainDetection, request)
    return answer.class_name, answer.score, answer.jpeg
