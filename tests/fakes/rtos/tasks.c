#include "task.h"

#define MOST_TASKS 4u

StaticTask_t *volatile pxCurrentTCB;
static StaticTask_t *tasks[MOST_TASKS];
static uint32_t count;
static volatile TickType_t now;

TaskHandle_t xTaskCreateStatic(TaskFunction_t code, const char *name, uint32_t words, void *argument,
                               UBaseType_t priority, StackType_t *stack, StaticTask_t *task)
{
    (void)name;
    configASSERT(count < MOST_TASKS);
    for (uint32_t i = 0; i < words; ++i) {
        stack[i] = 0xA5A5A5A5u;
    }
    task->top = pxPortInitialiseStack(stack + words, code, argument);
    task->priority = priority;
    task->sleeps = 0;
    tasks[count++] = task;
    return task;
}

void vTaskSwitchContext(void)
{
    pxCurrentTCB = NULL;
    for (uint32_t i = 0; i < count; ++i) {
        if (!tasks[i]->sleeps && (pxCurrentTCB == NULL || tasks[i]->priority > pxCurrentTCB->priority)) {
            pxCurrentTCB = tasks[i];
        }
    }
    traceTASK_SWITCHED_IN();
}

/* Whether another task may have to run. */
int xTaskIncrementTick(void)
{
    int woken = 0;
    ++now;
    for (uint32_t i = 0; i < count; ++i) {
        if (tasks[i]->sleeps && tasks[i]->wakes == now) {
            tasks[i]->sleeps = 0;
            woken = 1;
        }
    }
    vApplicationTickHook();
    return woken;
}

void vTaskDelay(TickType_t ticks)
{
    portDISABLE_INTERRUPTS();
    pxCurrentTCB->wakes = now + ticks;
    pxCurrentTCB->sleeps = 1;
    portYIELD();
    portENABLE_INTERRUPTS();
}

static void idle(void *nothing)
{
    (void)nothing;
    for (;;) {
    }
}

void vTaskStartScheduler(void)
{
    StaticTask_t *task;
    StackType_t *stack;
    configSTACK_DEPTH_TYPE words;
    vApplicationGetIdleTaskMemory(&task, &stack, &words);
    xTaskCreateStatic(idle, "idle", words, NULL, 0, stack, task);
    vTaskSwitchContext();
    xPortStartScheduler();
}
