"""Names for the indices of the two kinds of control record, and for their states, phases, modes and flags.

A board keeps one ``array('i')``: its own record first, then one for each joint, all of the same size, so that viper
code takes one pointer and walks from record to record. That code declares the indices it uses as private constants of
the same name, because the compiler can fold only those; a test holds every such copy against this file.

Units: positions urad (um if prismatic); a speed marked Q8 is in 1/256 urad per tick, an acceleration marked Q8 in
1/256 urad per tick squared; outputs are Q15, 1/32768 of full drive; currents mA; times are ticks.
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
OUTPUT = 11  # Q15, in the joint's sense
FLAGS = 12
COMMAND = 13  # mailbox written by the background, read by the tick
COMMAND_SPEED = 14  # Q8, mailbox
TRIPPED = 15  # a fault took this joint's torque off
HEAT = 16  # I2t above the continuous current, see HEAT_MAX
OVER = 17  # ticks in a row with too much current
STUCK = 18  # ticks in a row driven without a count
RUNAWAY = 19  # ticks of speeding up against the drive
REFERENCE = 20  # where the joint came to rest: what standstill is measured from
HOLD_OUTPUT = 21  # Q15, what held the joint when its brake closed
FAULT_VALUE = 22  # what the fault measured

# ---- joint record: parameters
POSITION_MIN = 23
POSITION_MAX = 24
SPEED_MAX = 25  # Q8
ACCELERATION = 26  # Q8
STOP_DECELERATION = 27  # Q8
STEP_MAX = 28
FOLLOWING_MAX = 29
COUNT_SCALE = 30
COUNT_SHIFT = 31
KP = 32
KP_SHIFT = 33
KI = 34
KI_SHIFT = 35
KD = 36
KD_SHIFT = 37
KV = 38
KV_SHIFT = 39
INTEGRAL_MAX = 40  # Q15
OUTPUT_MAX = 41  # Q15
FILTER_SHIFT = 42
DRIVE_SIGN = 43
BIAS = 44  # Q15, holds the joint's weight
SLEW = 45  # Q15 per tick
CURRENT_MAX = 46  # mA
CURRENT_SCALE = 47  # current * CURRENT_SCALE >> CURRENT_SHIFT is 256 at the continuous current
CURRENT_SHIFT = 48
HEAT_MAX = 49  # sum over ticks of (ratio^2 - 2^16) / 64, the ratio 256 at the continuous current
OUTPUT_CONTINUOUS = 50  # Q15, what a hot motor may have
CURRENT_OFF = 51  # mA, more than this without torque is a fault
STEPS_MAX = 52  # counts a tick
STUCK_OUTPUT = 53  # Q15, enough to move the joint
STANDSTILL_MAX = 54
ENGAGE_MAX = 55
SLIP_MAX = 56  # how far a braked joint may move; 0 for a joint without a brake
OVERSPEED_MAX = 57  # Q8
STUCK_MAX = 58  # ticks
BRAKE_OPEN = 59  # ticks
BRAKE_CLOSE = 60  # ticks
VELOCITY_MAX = 61  # urad/s, as configured
CONFIGURED = 62  # 0 never, 1, or POSITION_LOST
FAULT_CODE = 63  # the fault that the latest tick found, 0 none
NOT_HOMED = 64  # FLAG_NOT_HOMED, or 0 for a joint that knows where it is
ZERO = 65  # where the joint is at encoder count 0
SENSOR_SCALE = 66  # the second sensor says (word * SENSOR_SCALE >> SENSOR_SHIFT) + SENSOR_ZERO; 0: it is not asked
SENSOR_SHIFT = 67
SENSOR_ZERO = 68
SENSOR_MAX = 69  # how far encoder and sensor may be apart
APART = 70  # looks in a row at which they were further
JOINT_SIZE = 80

# ---- board record
STATE = 0
PHASE = 1
CAUSE = 2  # the first fault since the last clear
TICK = 3
OPERATOR_AGE = 4  # ticks since the last newer operator sequence; saturates
LINK_AGE = 5  # ticks since the last valid frame; saturates
OPERATOR_SEQ = 6
LINK_SEQ = 7
NEW_COMMAND = 8  # set by the background when every joint's mailbox is full, cleared by the tick
COMMAND_PERIOD = 9  # ticks
OPERATOR_TIMEOUT = 10  # ticks
LINK_TIMEOUT = 11  # ticks
HOLD = 12  # ticks
SETTLE = 13  # ticks from the end of a ramp to monitored standstill
SUPPLY_MIN = 14  # mV
SUPPLY_MAX = 15  # mV
LATE_MAX = 16  # us
TIMER = 17  # ticks left in a timed phase
SETTLING = 18  # ticks left until standstill is monitored
STOP_STATE = 19  # the state that the present stop ends in
THEN_BRAKE = 20  # the present ramp ends in brakes, not in a hold
OPEN_TIME = 21  # ticks, the slowest brake's
CLOSE_TIME = 22  # ticks, the slowest brake's
ENGAGED = 23  # whom the joints follow since enable or resume, see below
LATE_TICKS = 24
REFUSED = 25
REQUEST = 26  # from the background to the tick
EVENT = 27  # fault code to report, 0 none
EVENT_CHANNEL = 28
EVENT_VALUE = 29
MOVING = 30  # joints whose setpoint moved in the latest tick
NOT_BUILT = 31  # joints whose output has not yet reached what holds them
SUPPLY_OUT = 32  # ticks in a row with the supply out of range
BUILD_MAX = 33  # ticks that building may take, with the slowest slew
WATCH_VALUE = 34  # what the fault that the watch found measured
TICK_HZ = 35
JOINTS = 36  # how many records follow
MODE = 37  # what the joints do in this tick
LAST_US = 38  # when the latest tick began
PERIOD_US = 39
REFUSAL_CHANNEL = 40  # what the latest refusal was about, -1 no channel
REFUSAL_VALUE = 41
TICKS = 42  # the tick's steps, which the watchdog asks about
GUARDED = 43  # the hardware watchdog has been started
MAINTENANCE = 44  # the background is to end
HELD = 45  # bytes of a frame that is not yet whole
DISCARDING = 46  # bytes are thrown away until a frame ends
SLIP_US = 47  # how far ticks are behind the clock, less than a period
LOOP_BOARDS = 48  # boards in the run loop, 0 without one
LOOP_SLOT = 49  # which of them this one is
LOOP_HALF = 50  # ticks for which it opens its contact in its slot of the exercise, half of the slot
LOOP_TICK = 51  # ticks since the loop came alive in this enable, 0 before
LOOP_WAITS = 52  # the exercise is not over
LOOP_OPEN = 53  # the contact is open for the exercise
BOX_AT = 54  # where the black box is written next, in words; BOX_SIZE, behind the ring, once it is frozen
BOX_SIZE = 55  # words of the ring
BOX_STRIDE = 56  # words of a line
BOX_MASK = 57  # a line is kept of every tick whose number has none of these bits
BOX_AFTER = 58  # lines still to come after the fault
BOX_TAIL = 59  # lines that are kept after a fault
BOX_FIRST = 60  # where the oldest line is
BOX_CAUSE = 61  # the fault that the box is kept for, 0 none
BOX_TICK = 62  # when it came
EVENT_TICK = 63  # when the fault came that EVENT tells of
YIELD = 64  # ticks in which the torque goes once the brakes have closed behind a hold
YIELDS = 65  # the brakes that close have a hold before them
SHIFT = 66  # where a joint is turns out to be this much further; or for how many ticks it has pushed
SHIFT_CHANNEL = 67  # which joint
PROOF_AGE = 68  # ticks since the last proof that a surgeon is there; saturates
PROOF_TIMEOUT = 69  # ticks; beyond any age on a board without keys
PROOF_MAX_AGE = 70  # ticks, of a proof's stamp
BOARD_SIZE = 80

# ---- homing record, one a joint, apart from the control records because the tick has no use for it
HOME_METHOD = 0  # see below; 0 since the joint was configured, until its homing is
HOME_PLACE = 1  # where the index or the end stop is, or the joint at encoder count 0
HOME_PARK = 2  # where homing ends
HOME_SPEED = 3  # Q8, towards the index or the end stop
HOME_OUTPUT = 4  # Q15, what the joint may have until it is homed
HOME_STEP = 5
HOME_WAY = 6  # where it is going: only its sign counts
HOME_MARK = 7  # where it last got on
HOME_MARK_TICK = 8  # when
HOME_FREE_TICK = 9  # when it last had less output than it may have
HOME_PASSES = 10  # of the index, when it was last looked at
HOME_TOUCHES = 11  # how often the index or the end stop was found, or the sensor read
HOME_TURNED = 12  # an end stop came before the index
HOME_BEYOND = 13  # where the index is that is to be left behind
HOME_FOUND = 14  # what ZERO becomes when the tick takes up the shift; while it samples, their sum
HOME_LOWEST = 15  # of the samples; once it has failed, why
HOME_HIGHEST = 16  # of the samples; once it has failed, by how much
HOME_LAST_METHOD = 17  # the method that the joint was homed by
# What holds once the joint is homed.
HOME_POSITION_MIN = 18
HOME_POSITION_MAX = 19
HOME_SPEED_MAX = 20
HOME_VELOCITY_MAX = 21
HOME_OUTPUT_MAX = 22
HOME_STUCK_OUTPUT = 23
HOME_STUCK_MAX = 24
HOME_SENSOR_SCALE = 25
HOME_SIZE = 28

# ---- how a joint is homed
HOME_ABSOLUTE = 1  # its encoder tells where it is
HOME_INDEX = 2
HOME_END_STOP = 3
HOME_SENSOR = 4  # its second sensor tells where it is

# ---- states (CRTK operating_state)
DISABLED = 0
ENABLED = 1
PAUSED = 2
FAULT = 3

# ---- phases within a state
OFF = 0
BUILDING = 1  # brakes closed, the outputs rise to what holds the joints
OPENING = 2
RUN = 3
RAMP = 4
HOLDING = 5
CLOSING = 6
RELEASED = 7  # a person holds the brakes open

# ---- requests
REQUEST_NONE = 0
REQUEST_ENABLE = 1
REQUEST_STOP = 2
REQUEST_CLEAR = 3
REQUEST_PAUSE = 4
REQUEST_RESUME = 5
REQUEST_SHIFT = 6
REQUEST_BLOCKED = 7

# ---- whom the joints follow
NOBODY = 0
CONSOLE = 1  # a first command at the measured position has come
HOMING = 2

# ---- what a joint does in a tick
REST = 0  # no torque, brake closed: it must not move
FREE = 1  # no torque: it may be moved
BUILD = 2  # the output rises behind a closed brake
FOLLOW = 3  # the setpoint follows its plan
SLOW = 4  # the setpoint slows down to standstill
WATCH = 5  # as SLOW, at standstill, and must not move
SETTLED = 6  # as WATCH, and the output is learnt that holds the joint
YIELDING = 7  # as WATCH, and the torque goes bit by bit: the brake must hold what it leaves

# ---- a value of CONFIGURED: the encoder has jumped since
POSITION_LOST = 2

# ---- what the joints' tick returns
JOINT_MOVING = 1
JOINT_NOT_BUILT = 2
JOINT_FAULT = 4

# ---- phases, bit by bit, in which drives give torque and in which brakes are open
TORQUE_PHASES = 1 << BUILDING | 1 << OPENING | 1 << RUN | 1 << RAMP | 1 << HOLDING | 1 << CLOSING
BRAKE_OPEN_PHASES = 1 << OPENING | 1 << RUN | 1 << RAMP | 1 << HOLDING | 1 << RELEASED

# ---- flags of a joint
FLAG_BRAKE_CLOSED = 1
FLAG_DRIVE_ON = 2
FLAG_OUTPUT_LIMITED = 4
FLAG_SPEED_LIMITED = 8
FLAG_ACCELERATION_LIMITED = 16
FLAG_POSITION_LIMITED = 32
FLAG_SLOWING = 64
FLAG_CURRENT_LIMITED = 128
FLAG_SLEW_LIMITED = 256
FLAG_NOT_HOMED = 512

# ---- why a command was refused; nothing stops at once, but nothing was fed either
REFUSED_OPERATOR_SEQUENCE = 35
REFUSED_JOINT_COUNT = 36
REFUSED_NOT_ENABLED = 37
REFUSED_POSITION_LIMIT = 40
REFUSED_VELOCITY_LIMIT = 41
REFUSED_STEP = 42
REFUSED_ENGAGE = 46
REFUSED_HOME_NOT_FOUND = 49
REFUSED_HOME_UNSURE = 50
REFUSED_HOMING = 51
REFUSED_HOME_OUTSIDE = 52
REFUSED_PROOF_KEY = 53
REFUSED_PROOF_WRONG = 54
REFUSED_PROOF_STALE = 55
REFUSED_LOCAL_SWITCH = 57
