// Job DSL: makes the job pgaas-deploy. The seed job that runs it checks this repository out, so that GIT_URL is set;
// PGAAS_GIT_CRED names the credential to read it with, where one is needed.
pipelineJob('pgaas-deploy') {
    description('Creates or upgrades clients, one after the other. To go on after a failure, rebuild with the same parameters.')

    parameters {
        stringParam('PGAAS_VERSION', '', 'The version of the platform, such as 1.2.3')
        stringParam('USERS_VERSION', '', "The version of the users' files, such as 4.5.6")
        stringParam('INS', '', 'The clients, in the order in which to deploy them, such as ic1,is1')
        choiceParam('ENV', ['perf', 'pprod', 'prod'], 'The environment')
        stringParam('ENV_OVERRIDE', '', 'A sub-environment of hp, such as dev1 or pic; it wins over ENV')
        stringParam('DC', '', "The datacenter; empty for the first one of each client's list")
        choiceParam('ACTION', ['create', 'upgrade'], 'What to do')
        credentialsParam('KUBECONFIG_CRED') {
            type('org.jenkinsci.plugins.plaincredentials.impl.FileCredentialsImpl')
            required()
            description('The secret file with the kubeconfig of the environment')
        }
    }

    // Two runs at once would only wait for each other's clients.
    properties {
        disableConcurrentBuilds()
    }

    logRotator {
        numToKeep(200)
    }

    definition {
        cpsScm {
            scm {
                git {
                    remote {
                        url(GIT_URL)
                        if (binding.hasVariable('PGAAS_GIT_CRED')) {
                            credentials(PGAAS_GIT_CRED)
                        }
                    }
                    branch('main')
                }
            }
            scriptPath('ci/deploy.Jenkinsfile')
            lightweight(false)
        }
    }
}
