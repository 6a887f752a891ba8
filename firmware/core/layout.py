"""Names for the indices of the two kinds of control record, and for their states, phases, flags and faults.

A board keeps one ``array('i')`` for itself and one for each joint. The viper code of this package declares the
indices it uses as private constants of the same name, because the compiler can fold only those; a test holds
every such copy against this file.

Units: positions urad (um if prismatic); a speed marked Q8 is in 1/256 urad per tick, an acceleration marked Q8 in
1/256 urad per tick squared; outputs are Q15, 1/32768 of full drive; times are ticks.
"""

# ---- joint record: state
COUNT = 0  # encoder count of the latest tick
COUNT_REMAINDER = 1  # part of a urad not yet in POSITION, in 1/2^COUNT_SHIFT urad
POSITION = 2  # measured
SPEED = 3  # measured and filtered, Q8
SETPOINT = 4
SETPOINT_FRACTION = 5  # 0..255, in 1/256 urad
SETPOINT_SPEED = 6  # Q8
TARGET = 7  # where the present plan leads
TARGET_SPEED = 8  # Q8, at the end of the plan
REMAINING = 9  # ticks to the end of the plan; 0 means no plan
INTEGRAL = 10  # Q15 << 8
OUTPUT = 11  # Q15
FLAGS = 12
COMMAND = 13  # mailbox written by the background, read by the tick
COMMAND_SPEED = 14  # Q8, mailbox
TRIPPED = 15  # the joint whose fault took its own torque off

# ---- joint record: parameters
POSITION_MIN = 16
POSITION_MAX = 17
SPEED_MAX = 18  # Q8
ACCELERATION = 19  # Q8
STOP_DECELERATION = 20  # Q8
STEP_MAX = 21
FOLLOWING_MAX = 22
COUNT_SCALE = 23
COUNT_SHIFT = 24
KP = 25
KP_SHIFT = 26
KI = 27
KI_SHIFT = 28
KD = 29
KD_SHIFT = 30
KV = 31
KV_SHIFT = 32
INTEGRAL_MAX = 33  # Q15
OUTPUT_MAX = 34  # Q15
FILTER_SHIFT = 35
DRIVE_SIGN = 36
VELOCITY_MAX = 37  # urad/s, as configured
BRAKE_OPEN = 38  # ticks
BRAKE_CLOSE = 39  # ticks
CONFIGURED = 40
JOINT_SIZE = 41

# ---- board record
STATE = 0
PHASE = 1
CAUSE = 2
TICK = 3
OPERATOR_AGE = 4  # ticks since the last newer operator sequence; saturates
OPERATOR_SEQ = 5
LINK_SEQ = 6
NEW_COMMAND = 7  # set by the background when every joint's mailbox is full, cleared by the tick
COMMAND_PERIOD = 8  # ticks
OPERATOR_TIMEOUT = 9  # ticks
HOLD = 10  # ticks
TIMER = 11  # ticks left in a timed phase
STOP_STATE = 12  # the state that the present stop ends in
OPEN_TIME = 13  # ticks, the slowest brake's
CLOSE_TIME = 14  # ticks, the slowest brake's
LATE_TICKS = 15
REFUSED = 16
REQUEST = 17  # from the background to the tick
EVENT = 18  # fault code to report, 0 none
EVENT_CHANNEL = 19
EVENT_VALUE = 20
MOVING = 21  # joints whose setpoint moved in the latest tick
TICK_HZ = 22
BOARD_SIZE = 23

# ---- states (CRTK operating_state)
DISABLED = 0
ENABLED = 1
PAUSED = 2
FAULT = 3

# ---- phases within a state
OFF = 0
OPENING = 1
RUN = 2
RAMP = 3
HOLDING = 4
CLOSING = 5

# ---- requests
REQUEST_NONE = 0
REQUEST_ENABLE = 1
REQUEST_STOP = 2
REQUEST_CLEAR = 3

# ---- what the setpoint does in a tick
REST = 0
FOLLOW = 1
SLOW = 2

# ---- what a joint's tick returns
JOINT_MOVING = 1
NOT_FOLLOWING = 2

# ---- flags of a joint
FLAG_BRAKE_CLOSED = 1
FLAG_DRIVE_ON = 2
FLAG_OUTPUT_LIMITED = 4
FLAG_SPEED_LIMITED = 8
FLAG_ACCELERATION_LIMITED = 16
FLAG_POSITION_LIMITED = 32
FLAG_SLOWING = 64

# ---- faults: latch, and stop the arm
FAULT_OPERATOR_TIMEOUT = 1
FAULT_FOLLOWING_ERROR = 2

# ---- why a command was refused; nothing stops at once, but nothing was fed either
REFUSED_POSITION_LIMIT = 40
REFUSED_VELOCITY_LIMIT = 41
REFUSED_STEP = 42
