"""The coded concepts of the reports, with the meanings of PS3.16 (edition of pydicom 3.0)."""

from typing import Final

from pydicom.sr.coding import Code

from dicom_node.identity import CODING_SCHEME_DESIGNATOR

ADULT_ECHO_REPORT: Final = Code("125200", "DCM", "Adult Echocardiography Procedure Report")
LANGUAGE: Final = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH: Final = Code("en-US", "RFC5646", "English (United States)")

OBSERVER_TYPE: Final = Code("121005", "DCM", "Observer Type")
DEVICE: Final = Code("121007", "DCM", "Device")
DEVICE_UID: Final = Code("121012", "DCM", "Device Observer UID")
DEVICE_NAME: Final = Code("121013", "DCM", "Device Observer Name")
DEVICE_MANUFACTURER: Final = Code("121014", "DCM", "Device Observer Manufacturer")
DEVICE_MODEL: Final = Code("121015", "DCM", "Device Observer Model Name")
DEVICE_SERIAL: Final = Code("121016", "DCM", "Device Observer Serial Number")

FINDINGS: Final = Code("59776-5", "LN", "Findings")
FINDING_SITE: Final = Code("363698007", "SCT", "Finding Site")
LEFT_VENTRICLE: Final = Code("87878005", "SCT", "Left ventricle")
MEASUREMENT_GROUP: Final = Code("125007", "DCM", "Measurement Group")
IMAGE_MODE: Final = Code("399264008", "SCT", "Image Mode")
M_MODE: Final = Code("399155008", "SCT", "M mode")
ALGORITHM_NAME: Final = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_PARAMETERS: Final = Code("111002", "DCM", "Algorithm Parameters")
ALGORITHM_VERSION: Final = Code("111003", "DCM", "Algorithm Version")

MEASUREMENT_METHOD: Final = Code("370129005", "SCT", "Measurement Method")
TEICHHOLZ: Final = Code("125209", "DCM", "Teichholz")
MASS_BY_M_MODE: Final = Code("125221", "DCM", "Left Ventricle Mass by M-mode")
DERIVATION: Final = Code("121401", "DCM", "Derivation")
MEAN: Final = Code("373098007", "SCT", "Mean")
SELECTION_STATUS: Final = Code("121404", "DCM", "Selection Status")
MEAN_CHOSEN: Final = Code("121412", "DCM", "Mean value chosen")
SOURCE_OF_MEASUREMENT: Final = Code("121112", "DCM", "Source of Measurement")

IVS_DIASTOLE: Final = Code("18154-5", "LN", "Interventricular Septum Diastolic Thickness")
LVID_DIASTOLE: Final = Code("29436-3", "LN", "Left Ventricle Internal End Diastolic Dimension")
LVPW_DIASTOLE: Final = Code("18152-9", "LN", "Left Ventricle Posterior Wall Diastolic Thickness")
IVS_SYSTOLE: Final = Code("18158-6", "LN", "Interventricular Septum Systolic Thickness")
LVID_SYSTOLE: Final = Code("29438-9", "LN", "Left Ventricle Internal Systolic Dimension")
LVPW_SYSTOLE: Final = Code("18156-0", "LN", "Left Ventricle Posterior Wall Systolic Thickness")
FRACTIONAL_SHORTENING: Final = Code("18051-3", "LN", "Left Ventricular Fractional Shortening")
END_DIASTOLIC_VOLUME: Final = Code("18026-5", "LN", "Left Ventricular End Diastolic Volume")
END_SYSTOLIC_VOLUME: Final = Code("18148-7", "LN", "Left Ventricular End Systolic Volume")
STROKE_VOLUME: Final = Code("90096001", "SCT", "Stroke Volume")
EJECTION_FRACTION: Final = Code("18043-0", "LN", "Left Ventricular Ejection Fraction by US")
LV_MASS: Final = Code("18087-7", "LN", "Left Ventricle Mass")
HEART_RATE: Final = Code("8867-4", "LN", "Heart rate")
CARDIAC_OUTPUT: Final = Code("82799009", "SCT", "Cardiac Output")
# No standard code says 2 * LVPWd / LVIDd: 18155-2 is the septum divided by the posterior wall.
RELATIVE_WALL_THICKNESS: Final = Code("RWT", CODING_SCHEME_DESIGNATOR, "Relative Wall Thickness")

CENTIMETRE: Final = Code("cm", "UCUM", "cm")
MILLILITRE: Final = Code("ml", "UCUM", "ml")
PERCENT: Final = Code("%", "UCUM", "Percent")
GRAM: Final = Code("g", "UCUM", "g")
RATIO: Final = Code("{ratio}", "UCUM", "ratio")
BEATS_PER_MINUTE: Final = Code("{H.B.}/min", "UCUM", "Heart beats per minute")
LITRES_PER_MINUTE: Final = Code("l/min", "UCUM", "l/min")

ACQUISITION_EQUIPMENT: Final = Code("109101", "DCM", "Acquisition Equipment")
SOURCE_IMAGE: Final = Code("121322", "DCM", "Source image for image processing operation")
