"""What touches hardware, one file a chip family, all of the same shape.

A port has ``tick_hz``, two arrays and a handful of methods. ``begin()`` latches what the hardware says into ``inputs``;
``commit()`` makes ``outputs`` take effect; between the two, a tick is arithmetic on arrays. Channels count from 0.
``wait()`` says which work is due; where a timer's interrupt does the ticks, ``start`` is given what it calls.
``link_is_console`` tells that the link is the REPL's stream.
"""

# What Port.wait() returns: which work is due.
TICK = 1
BYTES = 2

CHANNELS = 8

# Indices into Port.inputs.
TIME_US = 0  # wraps at 2^30
SUPPLY_MV = 1
SWITCHES = 2
RESET_CAUSE = 3  # why the board started, see below
COUNT = 4  # encoder counts, one a channel
CURRENT = 12  # mA through each motor, with its sign
INDEX_COUNT = 20  # the count at which the encoder's index, or the home switch, was last passed, one a channel
INDEX_PASSES = 28  # how often that has happened, one a channel; it may wrap
SENSOR = 36  # what the joint's second sensor reads, 16 bits with sign, one a channel
INPUTS_SIZE = 44

# Bits of SWITCHES; a drive that reports a fault sets DRIVE_FAULT << channel.
E_STOP = 1
BRAKE_RELEASE = 2
MAINTENANCE_STRAP = 4  # asked for at boot only
RUN_LOOP = 16  # the run loop is alive, seen behind the contacts of all boards
LOCAL_OFF = 32  # the local switch, if there is one, forbids motion
DRIVE_FAULTS_SHIFT = 8
DRIVE_FAULT = 256

# Indices into Port.outputs.
OUTPUT = 0  # Q15, one a channel, the drive's sense
DRIVES = 8  # bit per channel: the drive is on
BRAKES_OPEN = 9  # bit per channel: the brake is energised
RUN_CONTACT = 10  # this board's contact in the run loop is closed
WATCHDOG = 11  # counts feeds; 0 until the hardware watchdog is started
TO_KEEP = 12  # what the hardware keeps over a reset: the port finds here at boot what was here before
TO_REST = 18  # the last of these: after the next reset the board is to give its REPL the port, and not to run
OUTPUTS_SIZE = 19

# Values of RESET_CAUSE.
POWER_ON = 0
WATCHDOG_RESET = 1
PROGRAM_ENDED = 2
RESET_UNKNOWN = 3
