"""Files of every format: the right voxels in the right place, or a sentence that says why not."""

from __future__ import annotations

import gzip
import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from med2e3.errors import InputError
from med2e3.volume import read_scan

OBLIQUE = np.array(
    [[-0.64, 0.9, 0.0, 31.0], [-0.48, -1.2, 0.0, -12.0], [0.0, 0.0, 3.0, -500.0], [0, 0, 0, 1.0]]
)
"""IJK to RAS, spacing 0.8 x 1.5 x 3 mm."""


def refused(path, *words, **options) -> None:
    with pytest.raises(InputError) as caught:
        read_scan(path, **options)
    message = str(caught.value)
    assert all(word in message for word in words), message


def save_nifti(path, values, matrix=OBLIQUE, kind=nibabel.Nifti1Image):
    nibabel.save(kind(values.astype(np.int16).transpose(2, 1, 0), matrix), path)
    return path


def save_with_itk(path, values, matrix=OBLIQUE, compressed=False):
    image = sitk.GetImageFromArray(values.astype(np.int16))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path), useCompression=compressed)
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", ["nrrd", "nhdr", "mha", "mhd"])
def test_nrrd_and_metaimage(values, tmp_path, ending, compressed):
    scan = read_scan(save_with_itk(tmp_path / f"scan.{ending}", values, compressed=compressed))
    assert np.array_equal(scan.voxels, values)
    np.testing.assert_allclose(scan.ijk_to_ras, OBLIQUE, atol=1e-9)
    assert scan.warnings == ()
    assert scan.modality == ""


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image, nibabel.Nifti1Pair])
@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_nifti(values, tmp_path, ending, kind):
    if kind is nibabel.Nifti1Pair:
        ending = ending.replace("nii", "img")
    path = save_nifti(tmp_path / f"scan.{ending}", values, kind=kind)
    if kind is nibabel.Nifti1Pair:
        path = tmp_path / f"scan.{ending.replace('img', 'hdr')}"
    scan = read_scan(path)
    assert np.array_equal(scan.voxels, values)
    np.testing.assert_allclose(scan.ijk_to_ras, OBLIQUE, atol=1e-4)
    assert scan.warnings == ()


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8", ">i2", ">f4"])
def test_nifti_pixel_types(tmp_path, dtype):
    values = np.random.default_rng(0).integers(0, 120, (5, 6, 7))
    order = "big" if dtype.startswith(">") else "little"
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(dtype))
    image = nibabel.Nifti1Image(values.astype(dtype).transpose(2, 1, 0), OBLIQUE, header)
    nibabel.save(image, tmp_path / "scan.nii.gz")
    assert np.array_equal(read_scan(tmp_path / "scan.nii.gz").voxels, values)


def test_nifti_is_scaled_as_nibabel_scales_it(values, tmp_path):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti1Image(values.transpose(2, 1, 0) * 0.37 - 12.5, OBLIQUE, header)
    nibabel.save(image, tmp_path / "scan.nii")
    expected = nibabel.load(tmp_path / "scan.nii").get_fdata().transpose(2, 1, 0)
    np.testing.assert_allclose(read_scan(tmp_path / "scan.nii").voxels, expected, atol=1e-3)


def test_nifti_places_as_nibabel_does(values, tmp_path):
    sheared = OBLIQUE @ np.array([[1, 0, 0.4, 0], [0, 1, 0.1, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    for number, matrix in enumerate((OBLIQUE, sheared, OBLIQUE[:, [1, 0, 2, 3]])):
        path = save_nifti(tmp_path / f"{number}.nii", values, matrix)
        np.testing.assert_allclose(read_scan(path).ijk_to_ras, matrix, atol=1e-4)
    image = nibabel.Nifti1Image(values.astype(np.int16).transpose(2, 1, 0), OBLIQUE)
    image.set_sform(None, 0)
    image.set_qform(OBLIQUE, 1)
    nibabel.save(image, tmp_path / "q.nii")
    np.testing.assert_allclose(read_scan(tmp_path / "q.nii").ijk_to_ras, OBLIQUE, atol=1e-3)
    # A left-handed qform has its sign in pixdim[0].
    mirrored = OBLIQUE @ np.diag([1, 1, -1.0, 1])
    image.set_qform(mirrored, 1)
    nibabel.save(image, tmp_path / "mirrored.nii")
    np.testing.assert_allclose(read_scan(tmp_path / "mirrored.nii").ijk_to_ras, mirrored, atol=1e-3)


def test_nifti_with_two_places_is_told(values, tmp_path):
    image = nibabel.Nifti1Image(values.astype(np.int16).transpose(2, 1, 0), OBLIQUE)
    image.set_qform(np.diag([1.0, 1, 3, 1]), 1)
    nibabel.save(image, tmp_path / "scan.nii")
    scan = read_scan(tmp_path / "scan.nii")
    np.testing.assert_allclose(scan.ijk_to_ras, OBLIQUE, atol=1e-4)
    assert any("sform" in warning for warning in scan.warnings)


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("mm", 1), ("micron", 0.001)])
def test_nifti_in_other_units(values, tmp_path, unit, factor):
    image = nibabel.Nifti1Image(values.astype(np.int16).transpose(2, 1, 0), OBLIQUE)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "scan.nii")
    expected = np.diag([factor, factor, factor, 1]) @ OBLIQUE
    np.testing.assert_allclose(read_scan(tmp_path / "scan.nii").ijk_to_ras, expected, rtol=1e-6)


def test_small_faults_of_a_nifti_header_are_put_right_in_silence(values, tmp_path, capfd, caplog):
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    image = nibabel.Nifti1Image(values.astype(np.int16).transpose(2, 1, 0), turned)
    image.set_sform(None, 0)
    image.set_qform(turned, 1)
    path = tmp_path / "scan.nii"
    nibabel.save(image, path)
    header = nibabel.Nifti1Header(path.read_bytes()[:348])
    header["bitpix"] = header["pixdim"][0] = header["pixdim"][2] = header["vox_offset"] = 0
    header["quatern_d"] = 1.00001
    path.write_bytes(header.binaryblock + path.read_bytes()[348:])
    scan = read_scan(path)
    assert np.array_equal(scan.voxels, values)
    np.testing.assert_allclose(scan.ijk_to_ras, turned, atol=1e-6)
    assert scan.warnings == ()
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


def test_a_nifti_pair_with_dots_in_its_name(values, tmp_path):
    save_nifti(tmp_path / "scan.1.5mm.img", values, kind=nibabel.Nifti2Pair)
    assert np.array_equal(read_scan(tmp_path / "scan.1.5mm.hdr").voxels, values)


def test_a_scan_without_orientation_is_told(values, tmp_path):
    image = nibabel.Nifti1Image(values.astype(np.int16).transpose(2, 1, 0), None)
    image.header.set_zooms((0.8, 0.7, 3))
    nibabel.save(image, tmp_path / "scan.nii")
    scan = read_scan(tmp_path / "scan.nii")
    # What Slicer makes of such a file.
    np.testing.assert_allclose(scan.ijk_to_ras, np.diag([-0.8, -0.7, 3, 1]), atol=1e-6)
    assert any("left and right may be wrong" in warning for warning in scan.warnings)

    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 24 20 12\nspacings: 0.8 0.7 3\n"
    header += "encoding: raw\nendian: little\n\n"
    (tmp_path / "s.nrrd").write_bytes(header.encode() + values.astype("<i2").tobytes())
    scan = read_scan(tmp_path / "s.nrrd")
    assert np.array_equal(scan.voxels, values)
    assert any("left and right may be wrong" in warning for warning in scan.warnings)


def test_nrrd_with_a_measurement_frame_and_ras(values, tmp_path):
    header = (
        "NRRD0005\ntype: short\ndimension: 3\nspace: right-anterior-superior\n"
        "sizes: 24 20 12\nspace directions: (-0.64,-0.48,0) (0.9,-1.2,0) (0,0,3)\n"
        "kinds: domain domain domain\nencoding: gzip\nendian: little\n"
        "space origin: (31,-12,-500)\nmeasurement frame: (1,0,0) (0,1,0) (0,0,1)\n\n"
    )
    packed = gzip.compress(values.astype("<i2").tobytes())
    (tmp_path / "scan.nrrd").write_bytes(header.encode() + packed)
    scan = read_scan(tmp_path / "scan.nrrd")
    assert np.array_equal(scan.voxels, values)
    assert scan.warnings == ()
    np.testing.assert_allclose(scan.ijk_to_ras, OBLIQUE, atol=1e-9)


def test_a_sheared_nrrd_keeps_its_shear(values, tmp_path):
    header = (
        "NRRD0005\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        "sizes: 24 20 12\nspace directions: (0.8,0,0) (0,0.7,0) (0,0.9,3)\n"
        "kinds: domain domain domain\nencoding: raw\nendian: little\nspace origin: (1,2,3)\n\n"
    )
    (tmp_path / "scan.nrrd").write_bytes(header.encode() + values.astype("<i2").tobytes())
    expected = [[-0.8, 0, 0, -1], [0, -0.7, -0.9, -2], [0, 0, 3, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(read_scan(tmp_path / "scan.nrrd").ijk_to_ras, expected, atol=1e-9)


def test_an_array_is_laid_out_as_it_is(values, tmp_path):
    from med2e3.volume.geometry import orientation_along

    np.save(tmp_path / "scan.npy", values)
    scan = read_scan(tmp_path / "scan.npy")
    assert np.array_equal(scan.voxels, values)
    assert any("no place in a patient" in warning for warning in scan.warnings)
    for plane in ("acquired", "axial"):
        turned = orientation_along(plane, scan.ijk_to_ras).turn(scan.voxels)
        assert np.array_equal(turned, values)


@pytest.mark.parametrize(
    "name", ["a b", 'it\'s "so"', "胸部CT", "Грудь", "صدر", "x" * 150, "%s{0}$HOME"]
)
def test_any_name(values, tmp_path, dicom_series, name):
    folder = tmp_path / name
    folder.mkdir()
    # MetaImage's writer crashes on a long path, so files are written elsewhere and moved.
    for ending in ("nrrd", "mha", "nii.gz"):
        written = tmp_path / f"scan.{ending}"
        if ending == "nii.gz":
            save_nifti(written, values)
        else:
            save_with_itk(written, values)
        path = shutil.move(written, folder / f"{name}.{ending}")
        assert np.array_equal(read_scan(path).voxels, values)
    save_with_itk(tmp_path / "scan.mhd", values)
    shutil.move(tmp_path / "scan.raw", folder)
    path = shutil.move(tmp_path / "scan.mhd", folder / f"{name}.mhd")
    assert np.array_equal(read_scan(path).voxels, values)
    series = dicom_series(values).write(folder / name)
    assert np.array_equal(read_scan(series).voxels, values)


def test_the_content_tells_the_format_and_not_the_name(values, tmp_path):
    saved = {
        "nii": save_nifti(tmp_path / "a.nii", values),
        "nii.gz": save_nifti(tmp_path / "b.nii.gz", values),
        "nrrd": save_with_itk(tmp_path / "c.nrrd", values, compressed=True),
        "mha": save_with_itk(tmp_path / "d.mha", values),
    }
    for kind, path in saved.items():
        for number, ending in enumerate(("", ".nii", ".nrrd", ".mha", ".dcm", ".txt")):
            renamed = tmp_path / f"{kind}-{number}{ending}"
            shutil.copy(path, renamed)
            assert np.array_equal(read_scan(renamed).voxels, values), renamed


def test_voxels_outlive_the_reader_and_are_not_copied(values, tmp_path):
    import gc

    scan = read_scan(save_with_itk(tmp_path / "scan.nrrd", values))
    gc.collect()
    _overwritten = [np.full(values.shape, 7, np.int16) for _ in range(200)]
    assert np.array_equal(scan.voxels, values)
    assert not scan.voxels.flags.owndata
    mapped = read_scan(save_nifti(tmp_path / "scan.nii", values))
    assert isinstance(mapped.voxels, np.memmap)


# -- what is refused ------------------------------------------------------------------------------


def test_no_such_file(tmp_path):
    refused(tmp_path / "missing.nrrd", "There is no file", "missing.nrrd")


@pytest.mark.parametrize(
    "content", [b"hello", b"\x89PNG\r\n\x1a\n" + b"0" * 500, b"PK\x03\x04zip", b"\x1f\x8bnot gzip"]
)
def test_not_an_image(tmp_path, content):
    (tmp_path / "scan.nrrd").write_bytes(content)
    refused(tmp_path / "scan.nrrd", "not a scan", "NIfTI, NRRD or MHA")


def test_an_empty_file(tmp_path):
    (tmp_path / "scan.nii").touch()
    refused(tmp_path / "scan.nii", "is empty")


@pytest.mark.parametrize("share", [0.03, 0.5, 0.99])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha", "mhd", "npy"])
def test_a_cut_file(values, tmp_path, ending, compressed, share, capfd):
    path = tmp_path / f"scan.{ending}"
    if ending.startswith("nii"):
        save_nifti(path, values)
    elif ending == "npy":
        np.save(path, values)
    else:
        save_with_itk(path, values, compressed=compressed)
    cut = path
    if ending == "mhd":
        cut = tmp_path / ("scan.zraw" if compressed else "scan.raw")
    content = cut.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    refused(path, "scan.")
    assert capfd.readouterr() == ("", "")


def test_a_damaged_gzip_file(values, tmp_path):
    path = save_nifti(tmp_path / "scan.nii.gz", values)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF
    path.write_bytes(content)
    refused(path, "cut or damaged")


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_a_nifti_header_that_asks_for_more_than_its_file_holds(values, tmp_path, ending, capfd):
    path = save_nifti(tmp_path / f"scan.{ending}", values)
    file_open = gzip.open if ending == "nii.gz" else open
    with file_open(path, "rb") as file:
        content = file.read()
    for field, value in (("dim", [3, 30000, 30000, 30000, 1, 1, 1, 1]), ("vox_offset", np.inf)):
        header = nibabel.Nifti1Header(content[:348])
        header[field] = value
        with file_open(path, "wb") as file:
            file.write(header.binaryblock + content[348:])
        refused(path, "cut or damaged")
    assert capfd.readouterr() == ("", "")


def test_voxels_without_their_header_and_back(values, tmp_path):
    save_with_itk(tmp_path / "scan.mhd", values)
    refused(tmp_path / "scan.raw", "scan.mhd")
    (tmp_path / "scan.raw").unlink()
    refused(tmp_path / "scan.mhd", "file of its voxels is missing")
    save_nifti(tmp_path / "pair.img", values, kind=nibabel.Nifti1Pair)
    (tmp_path / "pair.img").unlink()
    refused(tmp_path / "pair.hdr", "header without voxels")


def test_analyze_does_not_tell_left_from_right(values, tmp_path):
    image = nibabel.AnalyzeImage(values.astype(np.int16).transpose(2, 1, 0), np.eye(4))
    nibabel.save(image, tmp_path / "scan.img")
    refused(tmp_path / "scan.hdr", "Analyze", "left from right")


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_flat_and_long_images(tmp_path, ending):
    random = np.random.default_rng(0)
    path = tmp_path / f"scan.{ending}"
    for shape, word in (((9, 8), "2D"), ((1, 9, 8), "1 slice"), ((3, 7, 9, 8), "dimensions")):
        image = random.integers(-500, 500, shape).astype(np.int16)
        sitk.WriteImage(sitk.GetImageFromArray(image, isVector=False), str(path))
        refused(path, word)
    sitk.WriteImage(sitk.GetImageFromArray(random.random((4, 9, 8, 3)), isVector=True), str(path))
    refused(path, "grey value" if ending != "nii.gz" else "dimensions")


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_a_fourth_axis_of_one_is_no_axis(values, tmp_path, ending):
    image = sitk.GetImageFromArray(values[None].astype(np.int16), isVector=False)
    sitk.WriteImage(image, str(tmp_path / f"scan.{ending}"))
    assert np.array_equal(read_scan(tmp_path / f"scan.{ending}").voxels, values)


def test_colours_in_nifti(tmp_path):
    colours = np.zeros((6, 7, 5), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), tmp_path / "scan.nii.gz")
    refused(tmp_path / "scan.nii.gz", "colours")
    complex_ = np.ones((6, 7, 5), np.complex64)
    nibabel.save(nibabel.Nifti1Image(complex_, np.eye(4)), tmp_path / "scan.nii.gz")
    refused(tmp_path / "scan.nii.gz", "more than one number")


def test_arrays_that_are_none(tmp_path):
    np.save(tmp_path / "scan.npy", np.array([{"a": 1}, None], dtype=object))
    refused(tmp_path / "scan.npy", "Python objects")
    np.save(tmp_path / "scan.npy", np.zeros((3, 4, 5), complex))
    refused(tmp_path / "scan.npy", "one real number")


def test_no_permission(values, open_folder, as_ordinary_user):
    path = save_nifti(open_folder / "scan.nii", values)
    path.chmod(0)
    with as_ordinary_user():
        refused(path, "cannot be read", "permissions")


def test_series_is_for_folders(values, tmp_path):
    path = save_nifti(tmp_path / "scan.nii", values)
    refused(path, "--series", series_uid="1.2.3")
