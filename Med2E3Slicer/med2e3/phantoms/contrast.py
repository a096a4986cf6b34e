"""Hounsfield units of tissues, and how contrast medium changes them from phase to phase."""

from __future__ import annotations

from dataclasses import dataclass

FAT, WATER, STOOL = -100, 6, 20
SPONGY_BONE, CORTICAL_BONE = 230, 800
LUNG = -850


@dataclass(frozen=True)
class Tissues:
    """Hounsfield units of what takes up contrast medium, in one phase."""

    artery: float
    vein: float
    portal_vein: float
    right_heart: float
    head_artery: float
    head_vein: float
    liver: float
    spleen: float
    renal_cortex: float
    renal_medulla: float
    pancreas: float
    bowel: float
    muscle: float
    myocardium: float
    grey_matter: float
    white_matter: float
    uterus: float
    prostate: float
    mass: float
    """A tumour that takes up some contrast medium; the next ones differ from their organ always."""
    liver_mass: float
    spleen_mass: float
    pancreas_mass: float
    kidney_mass: float
    uterus_mass: float
    brain_mass: float


TISSUES = {
    "plain": Tissues(
        artery=44, vein=44, portal_vein=44, right_heart=44, head_artery=46, head_vein=52,
        liver=60, spleen=50, renal_cortex=32, renal_medulla=32, pancreas=42, bowel=40, muscle=54,
        myocardium=46, grey_matter=38, white_matter=29, uterus=48, prostate=42, mass=38,
        liver_mass=30, spleen_mass=26, pancreas_mass=24, kidney_mass=56, uterus_mass=22,
        brain_mass=72,
    ),
    "arterial": Tissues(
        artery=320, vein=52, portal_vein=75, right_heart=230, head_artery=260, head_vein=75,
        liver=68, spleen=125, renal_cortex=190, renal_medulla=65, pancreas=105, bowel=75,
        muscle=58, myocardium=115, grey_matter=41, white_matter=31, uterus=85, prostate=55,
        mass=72, liver_mass=122, spleen_mass=62, pancreas_mass=46, kidney_mass=105, uterus_mass=42,
        brain_mass=120,
    ),
    "portal venous": Tissues(
        artery=150, vein=165, portal_vein=180, right_heart=150, head_artery=150, head_vein=175,
        liver=115, spleen=125, renal_cortex=195, renal_medulla=185, pancreas=95, bowel=85,
        muscle=63, myocardium=105, grey_matter=46, white_matter=35, uterus=115, prostate=78,
        mass=70, liver_mass=62, spleen_mass=66, pancreas_mass=46, kidney_mass=88, uterus_mass=58,
        brain_mass=125,
    ),
}  # fmt: skip
"""By phase. The order of size is that of textbooks for 120 kV; venous blood of the head is that of
a late phase."""
