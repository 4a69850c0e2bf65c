/* The system calls of one poll batch, made without Python's lock.
 *
 * batchedio.py says what the two functions promise, and has them in Python too. One thread calls
 * them: they share the arrays below. What a call that raises has not reported stays there, and the
 * next call of the function reports it.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define EVENTS_MAX 256
#define SENDS 256 /* without the lock in between */
#define BATCHED_BYTES (16 * 1024)
#define INPUT_BYTES (512 * 1024)
#define NOT_RECEIVED -1

struct event {
    int fd, flags;
    int error;         /* errno of recv, else 0 */
    Py_ssize_t length; /* of the bytes in `input`, or NOT_RECEIVED */
    const char *bytes;
};

struct send {
    int fd;
    const char *bytes;
    Py_ssize_t length;
};

static char input[INPUT_BYTES];
static struct event events[EVENTS_MAX];
static int unreported; /* events */
static struct send sends[SENDS];
static Py_ssize_t stopped_at = -1, stopped_taken; /* an unreported result of send_all */

/* As PyLong_AsLong. Raises OverflowError for a number that is no int. */
static int
as_int(PyObject *number)
{
    long value = PyLong_AsLong(number);
    if (value == (int)value)
        return (int)value;
    PyErr_SetString(PyExc_OverflowError, "number too large");
    return -1;
}

/* --- receive_ready --- */

static int
wait_for_events(int epoll, int timeout_ms, long polls, struct epoll_event *found)
{
    int count = epoll_wait(epoll, found, EVENTS_MAX, 0);
    for (; count == 0 && polls > 1; polls--)
        count = epoll_wait(epoll, found, EVENTS_MAX, 0);
    if (count == 0 && timeout_ms != 0)
        count = epoll_wait(epoll, found, EVENTS_MAX, timeout_ms);
    return count;
}

static void
receive(struct event *event, Py_ssize_t *used)
{
    if (INPUT_BYTES - *used < BATCHED_BYTES)
        return;
    ssize_t length = recv(event->fd, input + *used, BATCHED_BYTES, MSG_DONTWAIT);
    if (length < 0) {
        event->error = errno;
        return;
    }
    event->bytes = input + *used;
    event->length = length;
    *used += length;
}

/* Returns how many events there are, or -1 and sets errno. Runs without Python's lock. */
static int
fill_events(int epoll, int timeout_ms, long polls, const char *receivable, Py_ssize_t size)
{
    struct epoll_event found[EVENTS_MAX];
    Py_ssize_t used = 0;
    int count = wait_for_events(epoll, timeout_ms, polls, found);
    for (int i = 0; i < count; i++) {
        struct event *event = &events[i];
        *event = (struct event){
            .fd = found[i].data.fd, .flags = (int)found[i].events, .length = NOT_RECEIVED};
        if (event->flags == EPOLLIN && event->fd < size && receivable[event->fd])
            receive(event, &used);
    }
    return count;
}

static PyObject *
event_tuple(const struct event *event)
{
    PyObject *received;
    if (event->length != NOT_RECEIVED)
        received = PyBytes_FromStringAndSize(event->bytes, event->length);
    else if (event->error)
        received = PyLong_FromLong(event->error);
    else
        received = Py_NewRef(Py_None);
    return received ? Py_BuildValue("(iiN)", event->fd, event->flags, received) : NULL;
}

/* Returns the unreported events as a list. If it returns NULL, they stay unreported. */
static PyObject *
report_events(void)
{
    PyObject *list = PyList_New(unreported);
    for (int i = 0; list && i < unreported; i++) {
        PyObject *tuple = event_tuple(&events[i]);
        if (!tuple)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, tuple);
    }
    if (list)
        unreported = 0;
    return list;
}

static PyObject *
receive_ready(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    Py_buffer receivable;
    int count, error;

    if (nargs != 4)
        return PyErr_Format(PyExc_TypeError, "receive_ready takes 4 arguments, not %zd", nargs);
    if (unreported)
        return report_events();
    int epoll = PyObject_AsFileDescriptor(args[0]);
    if (epoll < 0)
        return NULL;
    int timeout_ms = as_int(args[1]);
    if (timeout_ms == -1 && PyErr_Occurred())
        return NULL;
    long polls = PyLong_AsLong(args[2]);
    if (PyErr_Occurred() || PyObject_GetBuffer(args[3], &receivable, PyBUF_SIMPLE) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    count = fill_events(epoll, timeout_ms, polls, receivable.buf, receivable.len);
    error = errno;
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&receivable);
    if (count < 0 && error != EINTR) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    unreported = count < 0 ? 0 : count;
    return PyErr_CheckSignals() < 0 ? NULL : report_events();
}

/* --- send_all --- */

/* Sends until a piece is not sent whole. Returns how many were sent whole; sets `taken` to the
 * bytes that were sent of the next one. Runs without Python's lock.
 */
static Py_ssize_t
send_each(Py_ssize_t count, Py_ssize_t *taken)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        ssize_t sent =
            send(sends[i].fd, sends[i].bytes, sends[i].length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent != sends[i].length) {
            *taken = sent < 0 ? 0 : sent;
            return i;
        }
    }
    return count;
}

/* Puts the items from `first` on into `sends`. Returns how many, or -1 with an exception. */
static Py_ssize_t
take_items(PyObject *items, Py_ssize_t first)
{
    Py_ssize_t count = Py_MIN(PyList_GET_SIZE(items) - first, SENDS);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PyList_GET_ITEM(items, first + i);
        if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) < 2
            || !PyBytes_Check(PyTuple_GET_ITEM(item, 1))) {
            PyErr_SetString(PyExc_TypeError, "send_all takes tuples of a descriptor and bytes");
            return -1;
        }
        PyObject *piece = PyTuple_GET_ITEM(item, 1);
        int fd = as_int(PyTuple_GET_ITEM(item, 0));
        if (fd == -1 && PyErr_Occurred())
            return -1;
        sends[i] = (struct send){fd, PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece)};
    }
    return count;
}

/* Returns where send_all stopped. If it returns NULL, that stays unreported. */
static PyObject *
report_stop(void)
{
    PyObject *result = Py_BuildValue("(nn)", stopped_at, stopped_taken);
    if (result)
        stopped_at = -1;
    return result;
}

static PyObject *
send_all(PyObject *Py_UNUSED(module), PyObject *items)
{
    if (!PyList_Check(items))
        return PyErr_Format(PyExc_TypeError, "send_all takes a list");
    if (stopped_at >= 0)
        return report_stop();
    Py_ssize_t first = 0;
    while (first < PyList_GET_SIZE(items)) {
        Py_ssize_t sent, taken = 0, count = take_items(items, first);
        if (count < 0)
            return NULL;
        /* The list keeps the pieces alive. No other thread has it. */
        Py_BEGIN_ALLOW_THREADS
        sent = send_each(count, &taken);
        Py_END_ALLOW_THREADS
        first += sent;
        if (sent < count) {
            stopped_at = first;
            stopped_taken = taken;
            return report_stop();
        }
    }
    Py_RETURN_NONE;
}

/* --- the module --- */

static PyMethodDef methods[] = {
    {"receive_ready", (PyCFunction)(void (*)(void))receive_ready, METH_FASTCALL, NULL},
    {"send_all", send_all, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_batchedio", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__batchedio(void)
{
    return PyModule_Create(&definition);
}
